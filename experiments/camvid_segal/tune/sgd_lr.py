# The same at twice the rates.
_base_ = './sgd.py'
optimizer = dict(lr=0.04)
