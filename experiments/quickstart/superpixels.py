# The quickstart, asking one class of each of the best superpixels.
_base_ = 'quickstart.py'
active_learning = dict(
    settings=dict(
        region=dict(
            shape=dict(type='Superpixels', segments=150, compactness=20),
            query_size=5,
            answer='dominant',
        )
    )
)
runner = dict(sample_mode='region')
