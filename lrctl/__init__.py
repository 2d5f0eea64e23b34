"""lrctl finds a learning-rate schedule for a training run, and hands it over as something the user can use."""

from lrctl.hookspecs import hookimpl

__version__ = "0.1.0"
__all__ = ["__version__", "hookimpl"]
