# Adam still, at twice the rates.
_base_ = './poly.py'
optimizer = dict(lr=1e-3)
