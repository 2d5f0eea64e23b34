"""Whole runs of families, tuned on grids: what baselines and closed forms share."""
