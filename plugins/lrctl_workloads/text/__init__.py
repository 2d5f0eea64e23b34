"""A GPT-like decoder on a text."""
