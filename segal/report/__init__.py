"""One page of evidence from many runs of one pool."""
