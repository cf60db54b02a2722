# The recipe's training with all labels of the 60 images of ../tune: 100 epochs
# (1,500 iterations), evaluated on the 101 validation images.
_base_ = '../tune/recipe.py'
active_learning = dict(settings=dict(image=dict(initial_pool=60)))
lr_config = dict(step=[42, 82])
evaluation = dict(interval=100)
checkpoint_config = dict(interval=10)
# Changes no result.
speed = dict(fused=True)
workflow = [('train', 100), ('query', 1)]
runner = dict(sample_mode='image')
