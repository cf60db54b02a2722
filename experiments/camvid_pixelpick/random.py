# The baseline: as many pixels as margin.py, drawn at random.
_base_ = './margin.py'
active_learning = dict(
    settings=dict(pixel=dict(sample_threshold=None)), heuristic='random'
)
