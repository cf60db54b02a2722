"""One query step and the parts it is made of."""
