# Milder, at twice the rates.
_base_ = './milder.py'
optimizer = dict(lr=1e-3)
