"""Data on disk and from the hub: what workloads share."""
