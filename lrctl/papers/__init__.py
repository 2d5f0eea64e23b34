"""Papers' experiments, run again."""
