# The first images are the most typical ones of as many clusters.
_base_ = './core_set.py'
active_learning = dict(initial=dict(selector='TypiClust'))
