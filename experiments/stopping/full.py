# Full supervision of the same scenes, trained as long as one round.
_base_ = './pixels.py'
active_learning = dict(
    settings=dict(image=dict(initial_pool=32)), heuristic='random'
)
runner = dict(sample_mode='image', sample_rounds=1)
