"""The built-in executors."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lrctl.registry.hookspecs import hookimpl

if TYPE_CHECKING:
    from lrctl.registry.hookspecs import Register


@hookimpl
def register_executors(register: Register) -> None:
    """Register the executors."""
    from lrctl_executors.processes import Processes, ProcessesParams
    from lrctl_executors.serial import Serial, SerialParams

    register(Serial, name="serial", params=SerialParams, in_process=True, help="one job after another in this process")
    register(Processes, name="processes", params=ProcessesParams, help="long-lived worker processes")
