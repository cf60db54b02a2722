"""The pool, and the training set made of what was bought in it."""
