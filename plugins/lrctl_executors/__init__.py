"""The built-in executors."""

from __future__ import annotations

from lrctl.registry.hookspecs import Register, hookimpl


@hookimpl
def register_executors(register: Register) -> None:
    """Register the executors; each is imported when it is first used."""
    register(
        "lrctl_executors.serial:Serial",
        name="serial",
        params="lrctl_executors.serial:SerialParams",
        help="one job after another in this process",
        in_process=True,
    )
    register(
        "lrctl_executors.processes:Processes",
        name="processes",
        params="lrctl_executors.processes:ProcessesParams",
        help="long-lived worker processes",
        parallel=True,
        ahead=True,
    )
    register(
        "lrctl_executors.ray.executor:Ray",
        name="ray",
        params="lrctl_executors.ray.params:RayParams",
        help="actors of Ray, on this machine or on a cluster",
        ahead=True,
    )
