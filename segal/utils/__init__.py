"""What starts SegAL and joins its parts."""
