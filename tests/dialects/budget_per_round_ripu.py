# June 2023: budgets of the whole pool, a nested workflow, a source.
_base_ = [
    './_base_/model.py',
    './_base_/games_to_streets.py',
    './_base_/schedule.py',
]
active_learning = dict(
    settings=dict(
        pixel=dict(
            budget_per_round=24,
            initial_label_pixels=0,
            sample_evenly=True,
            ignore_index=255,
        ),
        region=dict(budget_per_round=10, radius=1),
    ),
    visualize=dict(size=2, overlay=True, dir='viz_ripu'),
    reset_each_round=False,
    heuristic='ripu',
    heuristic_cfg=dict(k=3, use_entropy=True, categories=19),
)
workflow = [(('train', 1), ('query', 1)), (('train', 4),)]
runner = dict(
    type='ActiveLearningRunner',
    sample_mode='pixel',
    sample_rounds=1,
    pretrained='random',
)
evaluation = dict(interval=4 // 5, by_epoch=False, metric='mIoU')
source_free = False
