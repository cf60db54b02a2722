"""Start SegAL and join its parts."""
