"""Tuned baselines."""
