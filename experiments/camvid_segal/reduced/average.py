# The averaged weights are evaluated and asked; 10 epochs are 150 iterations.
_base_ = './base.py'
active_learning = dict(average=dict(decay=0.95))
