"""What to label next in a folder of images, by a trained network."""
