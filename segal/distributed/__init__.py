"""Start, join, synchronise and end the processes of a run."""
