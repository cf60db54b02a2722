# RIPU's regions (RA) from GTAV to Cityscapes: squares of 3x3 pixels, 0.44 %
# of each target image five times, 2.2 % in all.
_base_ = './pixel_ripu.py'
active_learning = dict(
    settings=dict(
        region=dict(
            shape=dict(type='Squares', radius=1),
            query_size=0.44,
            budget_unit='percent',
            initial_label_regions=0,
            aggregate='one',  # RIPU's score is of the square already
        )
    ),
    heuristic=dict(type='RIPU', k=1),
    selector=None,
)
runner = dict(sample_mode='region')
