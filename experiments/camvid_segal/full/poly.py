# The recipe's, with a rate that falls all the time.
_base_ = './recipe.py'
lr_config = dict(
    _delete_=True, policy='poly', power=0.9, min_lr=1e-6, by_epoch=False
)
