"""GreedyLR against other schedules."""
