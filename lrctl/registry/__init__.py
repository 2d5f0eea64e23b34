"""Plugins found by entry point, and the parts that they register."""
