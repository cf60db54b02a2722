"""Query a pool: score, select, answer and store."""
