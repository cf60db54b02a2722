# June 2023: entropy that is to spread out in space.
_base_ = './query_size_entropy.py'
active_learning = dict(
    settings=dict(
        pixel=dict(
            _delete_=True,
            budget_per_round=48,
            initial_label_pixels=48,
            sample_evenly=True,
            sample_threshold=5,
            ignore_index=255,
        )
    ),
    heuristic='sparsity',
    heuristic_cfg=dict(k=1, inflection=0.5),
)
GPU = 8
workflow = [(('train', 1), ('query', 1)), (('train', 1),)]
