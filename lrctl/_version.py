"""The version of lrctl."""

__version__ = "0.1.0"
