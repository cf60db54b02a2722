# ../tune/milder.py with all labels, as long as ./recipe.py.
_base_ = '../tune/milder.py'
active_learning = dict(settings=dict(image=dict(initial_pool=60)))
evaluation = dict(interval=100)
checkpoint_config = dict(interval=10)
speed = dict(fused=True)
workflow = [('train', 100), ('query', 1)]
runner = dict(sample_mode='image')
