"""Recipes: TOML files and settings, parsed once into frozen dataclasses."""
