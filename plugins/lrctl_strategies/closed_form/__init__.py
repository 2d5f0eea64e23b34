"""Closed forms of a schedule that was found."""
