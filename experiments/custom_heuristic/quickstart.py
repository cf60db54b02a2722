# The quickstart, asked by the heuristic in gini.py beside this file.
_base_ = '../quickstart/quickstart.py'

custom_imports = dict(imports=['experiments.custom_heuristic.gini'])
active_learning = dict(heuristic='gini')
