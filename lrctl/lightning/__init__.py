"""lrctl in the `Trainer` of Lightning: adaptive schedules, averages of the weights, and scripts as programs.

For `lightning` and `pytorch_lightning`. Imports torch and Lightning; the latter is for you to install. A schedule that
was found needs nothing of this: `lrctl.lr_scheduler.ScheduleLR` is a scheduler for `configure_optimizers`, with
`"interval": "step"`.
"""

from __future__ import annotations

from lrctl.lightning.adaptive import AdaptiveLRCallback
from lrctl.lightning.averaging import AveragingCallback
from lrctl.lightning.program import ProgramCallback, attach

__all__ = ["AdaptiveLRCallback", "AveragingCallback", "ProgramCallback", "attach"]
