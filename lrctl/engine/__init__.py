"""Carrying a search out: session, worker, trainer."""
