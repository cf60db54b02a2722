# The recipe's training, on 20 random pixels an image: one phase, four times as
# long as in ../reduced, evaluated on the 101 validation images.
_base_ = '../reduced/base.py'
active_learning = dict(
    settings=dict(pixel=dict(sample_threshold=None, initial_label_pixels=20)),
    heuristic='random',
)
lr_config = dict(step=[17, 33])
evaluation = dict(interval=10)
checkpoint_config = dict(interval=40)
workflow = [('train', 40), ('query', 1)]
runner = dict(sample_rounds=1)
