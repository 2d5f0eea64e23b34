"""The search for the best shape of a schedule."""
