# Full supervision of the reduced experiment: all labels of its 100 images.
_base_ = './margin.py'
active_learning = dict(
    settings=dict(image=dict(initial_pool=100)), heuristic='random'
)
runner = dict(sample_mode='image', sample_rounds=1)
