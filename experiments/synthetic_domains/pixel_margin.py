# From one synthetic domain to another, on a CPU: the quickstart's network
# learns scenes as a game would draw them, labelled throughout, then asks for
# 10 pixels of each photo-like scene, three times. One schedule over all.
_base_ = '../quickstart/quickstart.py'

data = dict(
    train=[
        dict(
            type='SyntheticScenesDataset',
            part='train',
            data_root='data/synthetic_game',
            scenes=dict(look='game', seed=1),
            pipeline={{_base_.train_pipeline}},
        ),
        {{_base_.data.train}},
    ]
)
active_learning = dict(
    settings=dict(
        pixel=dict(sample_threshold=5, query_size=10, initial_label_pixels=0)
    ),
    sources=dict(per_batch=4, loss_weight=1.0),
    reset_each_round=False,
)
runner = dict(by_epoch=False)
speed = None  # as when README's numbers were measured
workflow = [
    (('train', 200), ('query', 1)),
    (('train', 100), ('query', 1)),
    (('train', 100), ('query', 1)),
    (('train', 100),),
]
evaluation = dict(interval=100)
checkpoint_config = dict(interval=100)
