"""Lookahead search."""
