# The labelled source alone is data.train, the pool alone data.query.
_base_ = './streets.py'
data = dict(
    train=dict(
        type='GTAVDataset',
        data_root='DATA_ROOT/games',
        img_dir='images',
        ann_dir='labels',
    )
)
