"""A schedule as a short file of code or data that a training project can take as it is."""
