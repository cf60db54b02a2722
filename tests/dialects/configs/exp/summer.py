"""Of the summer of 2023: budget_per_round, nested phases, a share."""

_base_ = ['../model.py', '../data/street.py']
custom_imports = dict(imports=['my_gtav'], allow_failed_imports=False)
active_learning = dict(
    settings=dict(
        pixel=dict(
            sample_threshold=False,
            budget_per_round=40,
            initial_label_pixels=40,
            sample_evenly=True,
            entropy_prop=0.25,
        ),
    ),
    visualize=dict(size=2, overlay=True, dir='viz'),
    heuristic='entropy',
    heuristic_cfg=dict(k=32, use_entropy=True, categories=3),
    shuffle_prop=0.0,
    reset_each_round=True,
)
workflow = [(('train', 2), ('query', 1)), (('train', 2),)]
runner = dict(
    type='ActiveLearningRunner',
    sample_mode='pixel',
    sample_rounds=1,
    by_epoch=True,
    pretrained='random',
)
evaluation = dict(interval=1, by_epoch=False, metric='mIoU', pre_eval=True)
checkpoint_config = dict(interval=1)
