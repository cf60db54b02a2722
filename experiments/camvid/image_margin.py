# Whole images: 20 at first, 20 more a round, by their mean margin score.
_base_ = '../camvid_pixelpick/margin.py'
active_learning = dict(
    settings=dict(
        image=dict(initial_pool=20, query_size=20, aggregate='mean')
    ),
    oracle=dict(type='GroundTruthOracle', void='charge'),
)
runner = dict(sample_mode='image', sample_rounds=8)
