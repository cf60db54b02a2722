"""One page of evidence from many runs of one pool."""

AXES = ('asked', 'pixels', 'percent', 'cost')
"""What areas can be over: the budget, labelled pixels per image or in per
cent of the pool's, or what the labels cost."""
