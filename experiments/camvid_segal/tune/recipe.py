# The recipe's training, on 20 random pixels an image: one phase, evaluated on
# the 101 validation images, by which training is chosen.
_base_ = '../reduced/base.py'
active_learning = dict(
    settings=dict(pixel=dict(sample_threshold=None, initial_label_pixels=20)),
    heuristic='random',
)
runner = dict(sample_rounds=1)
