# What the game's scenes alone teach in as many iterations: no query is made.
_base_ = './pixel_margin.py'
runner = dict(sample_rounds=1)
workflow = [(('train', 500),)]
