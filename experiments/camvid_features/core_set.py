# The first images are drawn so that all others are near one of them, by what
# a network that was pretrained on the pool itself says of each.
_base_ = './random.py'
active_learning = dict(
    features=dict(
        type='MMSelfSup',
        config='work_dirs/camvid_features/simsiam.py',
        checkpoint='work_dirs/camvid_features/simsiam.pth',
    ),
    initial=dict(selector='CoreSet'),
)
