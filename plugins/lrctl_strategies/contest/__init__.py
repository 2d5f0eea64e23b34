"""A contest of optimizers."""
