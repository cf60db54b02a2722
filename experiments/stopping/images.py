# The same scenes, 2 whole images each round, in batches of 2: the iterations
# of a round rise with its images, and evenly.
_base_ = './pixels.py'
data = dict(samples_per_gpu=2)
active_learning = dict(settings=dict(image=dict(initial_pool=2, query_size=2)))
runner = dict(sample_mode='image')
