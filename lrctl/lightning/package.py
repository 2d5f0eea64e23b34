"""The package that the script uses: `lightning` and `pytorch_lightning` have classes of the same names."""

from __future__ import annotations

import sys
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lightning.pytorch import callbacks
    from lightning.pytorch.callbacks import Callback, Checkpoint
else:
    # Its Trainer tells some callbacks by their class.
    imported = [name for name in ("pytorch_lightning", "lightning.pytorch") if name in sys.modules]
    for name in imported or ["lightning.pytorch", "pytorch_lightning"]:
        try:
            callbacks = import_module(f"{name}.callbacks")
            break
        except ModuleNotFoundError as error:
            missing = error
    else:
        raise missing
    Callback, Checkpoint = callbacks.Callback, callbacks.Checkpoint


def no_logger() -> Any:
    """A logger that takes everything and keeps nothing."""
    return import_module(f"{callbacks.__name__.rpartition('.')[0]}.loggers.logger").DummyLogger()


__all__ = ["Callback", "Checkpoint", "callbacks", "no_logger"]
