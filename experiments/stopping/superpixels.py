# The same scenes, one class of each of 2 superpixels per image and round.
_base_ = './pixels.py'
active_learning = dict(
    settings=dict(
        region=dict(
            shape=dict(type='Superpixels', segments=60, compactness=20),
            query_size=2,
            answer='dominant',
        )
    )
)
runner = dict(sample_mode='region')
