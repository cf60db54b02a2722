"""Choose what to label next in a folder, with a trained network."""
