# The average of the weights is evaluated; it reaches back 100 iterations.
_base_ = './lr.py'
active_learning = dict(average=dict(decay=0.99))
