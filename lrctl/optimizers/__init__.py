"""Optimizers: made from settings, with param groups by role, and the two that lrctl brings itself."""
