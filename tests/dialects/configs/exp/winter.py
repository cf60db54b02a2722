"""Of the winter of 2022: query_size, a flat workflow, arguments of RIPU."""

_base_ = ['../model.py', '../data/street.py']
custom_imports = dict(imports=['my_gtav'], allow_failed_imports=False)
mask_dir = 'work/masks'
active_learning = dict(
    settings=dict(
        image=dict(initial_pool=2, query_size=1),
        pixel=dict(
            sample_threshold=5,
            query_size=10,
            initial_label_pixels=10,
            ignore_index=255,
        ),
    ),
    visualize=dict(size=2, overlay=True, dir='viz'),
    heuristic='ripu',
    heuristic_cfg=dict(k=32, use_entropy=True, categories=3),
    reset_each_round=True,
)
workflow = [('train', 2), ('query', 1)]
runner = dict(
    type='ActiveLearningRunner',
    sample_mode='pixel',
    sample_rounds=2,
    pretrained='random',
)
evaluation = dict(
    interval=2 // 5, by_epoch=False, metric='mIoU', pre_eval=True
)
checkpoint_config = dict(by_epoch=True, interval=1)
