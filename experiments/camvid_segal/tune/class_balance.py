# Classes with few labels count more in the loss.
_base_ = './lr.py'
active_learning = dict(class_balance=dict(power=0.5))
