# The same scenes, 2 whole images each round.
_base_ = './pixels.py'
active_learning = dict(settings=dict(image=dict(initial_pool=2, query_size=2)))
runner = dict(sample_mode='image')
