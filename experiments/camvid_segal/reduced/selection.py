# Margin, more for rare predicted classes, drawn by chance, picks apart.
_base_ = './base.py'
active_learning = dict(
    settings=dict(pixel=dict(sample_threshold=None)),
    heuristic=dict(
        _delete_=True,
        type='PowerNoise',
        beta=4,
        of=dict(type='ClassBalanced', of='Margin', power=0.5),
    ),
    selector=dict(type='PixelsSpread', distance=6),
)
