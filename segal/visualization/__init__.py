"""Draw images with their labels, and print tables."""
