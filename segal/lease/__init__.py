"""Work through a list of runs on a machine that is lent for minutes."""
