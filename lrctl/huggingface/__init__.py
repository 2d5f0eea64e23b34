"""lrctl in the `Trainer` of Hugging Face transformers: adaptive schedules, averages, and scripts as programs.

Imports torch and transformers; the latter is for you to install.
"""

from __future__ import annotations

from lrctl.huggingface.adaptive import AdaptiveLRCallback
from lrctl.huggingface.attaching import attach
from lrctl.huggingface.averaging import AveragingCallback
from lrctl.huggingface.program import ProgramCallback

__all__ = ["AdaptiveLRCallback", "AveragingCallback", "ProgramCallback", "attach"]
