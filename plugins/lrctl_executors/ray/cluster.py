"""The Ray that jobs run on: one that is started here for a search, or a cluster that is there."""

from __future__ import annotations

import logging
import math
import os
import secrets
import signal
import socket
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from traceback import walk_tb
from typing import Any

from lrctl.contracts.executor import slots
from lrctl.errors import LrctlError, MissingError, UsageError
from lrctl_executors.ray.params import AUTO

ALWAYS = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",  # a program that chooses its device sees the GPUs there are
}
"""What Ray reads from the environment, unless the user has set it."""

HERE = {
    "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",  # despite its name: on every system, whether others may connect
    "RAY_AUTH_MODE": "token",
    "RAY_AUTH_TOKEN": secrets.token_hex(32),
}
"""The same of a Ray that is started here: it listens on this machine alone, to this process and its workers."""

SMALLEST_STORE = 80 * 2**20
"""Bytes of Ray's own object store, through which nothing goes: about the least that it takes."""

STARTS = 3
"""How often a Ray is started here: it gives up after 30 seconds, which may be too few on a busy machine."""

ANSWERS = 10.0
"""Seconds that a cluster has to answer: Ray itself asks for many minutes."""


@dataclass(slots=True)
class Cluster:
    """A Ray, at an address or started here.

    Attributes:
        address: empty for one that is started here.
        started: whether it was connected to from here, and so is left by `stop`.

    Raises:
        MissingError: Ray is not installed.
    """

    address: str
    started: bool = False

    def __post_init__(self) -> None:
        if find_spec("ray") is None:
            raise MissingError(
                "--executor ray: the package ray is not installed; install it with pip install 'lrctl[ray]', or "
                "choose another executor"
            )

    def start(self, cpus: float) -> None:
        """Start a Ray of at least so many cores here, or connect to the cluster; once.

        Raises:
            LrctlError: it cannot be started, does not answer, or is of another version.
        """
        if "ray" not in sys.modules:  # which reads them once
            os.environ.update({**ALWAYS, **({} if self.address else HERE), **os.environ})
        import ray

        if ray.is_initialized():
            return
        self.check_answers()
        here = {"num_cpus": max(math.ceil(cpus), slots("cpu")), "object_store_memory": SMALLEST_STORE}
        given: dict[str, Any] = {} if self.address else {**here, "include_dashboard": False}
        options = {"log_to_driver": False, "logging_level": logging.ERROR, **given}
        try:
            with own_signals():
                initialise(self.address or "local", options, 1 if self.address else STARTS)
        except Exception as error:
            where = f"executor.address: Ray at {self.address!r}" if self.address else "--executor ray: Ray"
            advice = "start one with `ray start`, or leave the address out" if self.address else "see /tmp/ray"
            raise LrctlError(f"{where} cannot be used: {last_line(error)}; {advice}") from error
        self.started = True
        # It prints on stdout when a worker is lost, whatever it is told of logs.
        ray._private.worker._worker_logs_enabled = False

    def check_answers(self) -> None:
        address = found_here() if self.address == AUTO else self.address
        host, _, port = address.rpartition(":")
        if not (host and port.isdecimal()):
            return  # Ray says what it makes of it
        try:
            socket.create_connection((host.strip("[]"), int(port)), ANSWERS).close()
        except (OSError, OverflowError) as error:
            named = (
                f", which is {address} by RAY_ADDRESS or the Ray that ran here last" if address != self.address else ""
            )
            raise UsageError(
                f"executor.address: nothing answers at {self.address}{named} ({error}); start Ray there with "
                "`ray start --head`, or leave the address out for a Ray of the search's own"
            ) from error

    def room(self, share: Mapping[str, float], least: int = 0) -> int:
        """How many jobs the nodes have room for, where nothing else runs: at least so many as they had before.

        Raises:
            UsageError: no node has room for any.
        """
        import ray

        nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
        if not (room := max(least, sum(fit(node, share) for node in nodes))):
            held = " and ".join(f"{amount:g} {name}" for name, amount in share.items() if amount)
            best = {name: max((node.get(name, 0.0) for node in nodes), default=0.0) for name in share}
            there = " and ".join(f"{amount:g} {name}" for name, amount in best.items())
            raise UsageError(
                f"--executor ray: a job holds {held}, and a node has at most {there}; lower executor.cpus_per_job or "
                "executor.gpus_per_job, or choose another --device"
            )
        return room

    def alive(self, node: str) -> bool:
        import ray

        return any(each["Alive"] for each in ray.nodes() if each["NodeID"] == node)

    def stop(self) -> None:
        if self.started:
            import ray

            ray.shutdown()
            self.started = False


def found_here() -> str:
    """What Ray takes `auto` to be: where nothing answers there, it would ask for ever. Empty where it finds none."""
    try:
        from ray._private.services import canonicalize_bootstrap_address

        return canonicalize_bootstrap_address(AUTO) or ""
    except Exception:
        return ""  # starting says why


def fit(node: Mapping[str, float], share: Mapping[str, float]) -> int:
    """How many shares a node has room for. One of a part of a GPU lies on a single GPU."""
    return min(
        int(node.get(name, 0.0)) * int(1 / amount + 1e-6)
        if name == "GPU" and amount < 1
        else int(node.get(name, 0.0) / amount + 1e-6)
        for name, amount in share.items()
        if amount
    )


def initialise(address: str, options: Mapping[str, Any], tries: int) -> None:
    import ray

    try:
        ray.init(address, **options)
    except Exception as error:
        end_started(error)
        if tries == 1 or "timed out" not in str(error):
            raise
        initialise(address, options, tries - 1)


def end_started(error: BaseException) -> None:
    """End the processes of a Ray that could not be started: its error alone still leads to them."""
    for frame, _ in walk_tb(error.__traceback__):
        node: Any = frame.f_locals.get("self")
        if hasattr(node, "kill_all_processes"):
            node.kill_all_processes(check_alive=False, wait=True)


def last_line(error: BaseException) -> str:
    """What an error of Ray's says: it quotes the traceback of a worker, and its own words are a line."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1] if lines else type(error).__name__


@contextmanager
def own_signals() -> Iterator[None]:
    """Keep what Ctrl-C and SIGTERM do here: Ray would have SIGTERM end the process in its own way."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
