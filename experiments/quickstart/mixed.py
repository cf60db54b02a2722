# The quickstart, opening 8 images more each round, and asking 20 pixels in
# each that is open.
_base_ = 'quickstart.py'
active_learning = dict(
    settings=dict(
        image=dict(initial_pool=16, query_size=8),
        pixel=dict(query_size=20, initial_label_pixels=20),
        mixed=dict(split='even'),
    )
)
runner = dict(sample_mode='mixed')
