"""Report on many runs of one pool in one page."""

AXES = ('asked', 'pixels', 'percent', 'cost')
"""Axes of areas: the budget, labelled pixels per image or in per cent of the
pool's, or the cost of the labels."""
