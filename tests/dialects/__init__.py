"""Configs as users of the first SegAL have them, and runs of them."""
