# The same training on labels drawn at random.
_base_ = './segal.py'
active_learning = dict(heuristic='random', selector=None)
