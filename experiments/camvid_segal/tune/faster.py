# Milder, at four times the rates.
_base_ = './milder.py'
optimizer = dict(lr=2e-3)
