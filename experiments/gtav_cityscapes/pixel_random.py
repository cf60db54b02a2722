# The baseline: as many pixels as pixel_ripu.py, drawn at random.
_base_ = './pixel_ripu.py'
active_learning = dict(
    heuristic=dict(_delete_=True, type='Random'),
    selector=dict(_delete_=True, type='PixelsPerImage'),
)
