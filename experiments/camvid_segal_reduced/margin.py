# The same training, and the recipe's selection: margin, from the top 5 %.
_base_ = './segal.py'
active_learning = dict(
    settings=dict(pixel=dict(sample_threshold=5)),
    heuristic='margin',
    selector=None,
)
