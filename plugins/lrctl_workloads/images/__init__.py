"""A classifier of small images."""
