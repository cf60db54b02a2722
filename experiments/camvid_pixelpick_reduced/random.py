# The baseline of the reduced experiment.
_base_ = './margin.py'
active_learning = dict(
    settings=dict(pixel=dict(sample_threshold=None)), heuristic='random'
)
