"""Semi-local search and local search."""
