"""A user's own model, data sets and loss as a workload."""
