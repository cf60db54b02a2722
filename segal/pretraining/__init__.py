"""Train self-supervised features on a pool's own images."""
