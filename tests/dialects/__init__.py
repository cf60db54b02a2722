"""Experiments as users of the first SegAL wrote them, in configs of ours."""
