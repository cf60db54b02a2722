"""Read the pool, and make the training set of its bought labels."""
