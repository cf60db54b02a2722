# The quickstart, whose budget is spent by the selector in cells.py beside
# this file; it does not draw from the top per cent.
_base_ = '../quickstart/quickstart.py'

custom_imports = dict(imports=['experiments.custom_selector.cells'])
active_learning = dict(
    settings=dict(pixel=dict(sample_threshold=None)),
    selector=dict(type='PixelsPerCell', cells=3),
)
