"""Schedules as files that need no lrctl."""
