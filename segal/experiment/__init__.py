"""Build the parts of an experiment from its config."""
