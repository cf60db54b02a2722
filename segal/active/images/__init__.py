"""Read image files, and show any image as 8-bit RGB."""
