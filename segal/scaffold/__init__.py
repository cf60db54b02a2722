"""Write the config of a new experiment from folders of images and masks."""
