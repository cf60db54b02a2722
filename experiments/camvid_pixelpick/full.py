# Full supervision: all labels of all 367 images, one phase without a query.
_base_ = './margin.py'
active_learning = dict(
    settings=dict(image=dict(initial_pool=367)), heuristic='random'
)
runner = dict(sample_mode='image', sample_rounds=1)
