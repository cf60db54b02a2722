# The baseline: as many pixels as pixel_margin.py, drawn at random.
_base_ = './pixel_margin.py'
active_learning = dict(
    settings=dict(pixel=dict(sample_threshold=None)), heuristic='random'
)
