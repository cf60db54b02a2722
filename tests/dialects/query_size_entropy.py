# Late 2022: pixels of each image, a flat workflow, a share by entropy.
_base_ = ['./_base_/model.py', './_base_/streets.py', './_base_/schedule.py']
active_learning = dict(
    settings=dict(
        image=dict(initial_pool=4, query_size=2, budget=8),
        pixel=dict(
            sample_threshold=5,
            query_size=8,
            initial_label_pixels=8,
            sample_evenly=True,
            ignore_index=255,
            entropy_prop=0.25,
        ),
    ),
    visualize=dict(size=2, overlay=True, dir='viz_entropy'),
    reset_each_round=True,
    heuristic='entropy',
    heuristic_cfg=dict(),
)
EPOCHS = 2
workflow = [('train', EPOCHS), ('query', 1)]
runner = dict(
    type='ActiveLearningRunner',
    sample_mode='pixel',
    sample_rounds=2,
    pretrained='random',
)
evaluation = dict(
    interval=EPOCHS // 5, by_epoch=False, metric='mIoU', pre_eval=True
)
mask_dir = './work_dirs/masks'
