"""lrctl in the `Trainer` of Lightning, `lightning` or `pytorch_lightning`: adaptive schedules, and scripts as programs.

Imports torch and Lightning; the latter is for you to install. A schedule that was found needs nothing of this:
`lrctl.lr_scheduler.ScheduleLR` is a scheduler for `configure_optimizers`, with `"interval": "step"`.
"""

from __future__ import annotations

from lrctl.lightning.adaptive import AdaptiveLRCallback
from lrctl.lightning.program import ProgramCallback, attach

__all__ = ["AdaptiveLRCallback", "ProgramCallback", "attach"]
