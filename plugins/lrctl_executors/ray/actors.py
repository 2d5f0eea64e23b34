"""An actor, as it is on its node and as it is seen from the search."""

from __future__ import annotations

import os
import platform
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from lrctl.contracts.executor import Attempt
from lrctl.contracts.job import SegmentJob, TrainSpec
from lrctl.contracts.result import JobRecord
from lrctl.errors import UsageError

SAME = ("lrctl", "torch")
"""Packages that every node must have in the version of this machine: they decide numbers."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where an actor is, and what it has there."""

    node: str
    host: str
    versions: Mapping[str, str]
    gpus: Sequence[str] = ()

    def check(self) -> Place:
        """Refuse other versions than those of this machine.

        Raises:
            UsageError: one is another.
        """
        for name, here in versions().items():
            if (there := self.versions[name]) != here:
                raise UsageError(
                    f"--executor ray: {self.host} has {name} {there}, and this machine has {here}, so that jobs could "
                    "give other numbers; install the same on every node"
                )
        return self


def versions() -> dict[str, str]:
    return {name: version(name) for name in SAME}


class Worker:
    """What runs on a node: one job after another, in the folder that the search was started in."""

    def __init__(self, folder: str, path: Sequence[str]) -> None:
        if Path(folder).is_dir():  # for paths that are told from there
            os.chdir(folder)
        sys.path += [each for each in path if each not in sys.path]

    def begin(self, attempt: Attempt) -> Place:
        import ray

        self.attempt = attempt
        gpus = [str(each) for each in ray.get_gpu_ids()]
        return Place(ray.get_runtime_context().get_node_id(), platform.node(), versions(), gpus)

    def work(self, spec: TrainSpec, job: SegmentJob) -> JobRecord:
        return self.attempt(spec, job)


@dataclass(slots=True, eq=False)
class Actor:
    """A worker from here.

    Attributes:
        answer: what it owes: first of all where it is, then the record of a job.
        place: where it is; None while it starts.
        full: whether its device had no memory left for a job.
    """

    handle: Any
    answer: Any
    place: Place | None = None
    job: SegmentJob | None = None
    full: bool = False

    @classmethod
    def start(cls, attempt: Attempt, share: Mapping[str, float]) -> Actor:
        import ray

        held = {"num_cpus": share["CPU"], "num_gpus": share["GPU"]}
        handle = ray.remote(Worker).options(**held).remote(str(Path.cwd()), sys.path)
        return cls(handle, handle.begin.remote(attempt))

    @property
    def free(self) -> bool:
        return self.answer is None and not self.full

    def give(self, spec: TrainSpec, job: SegmentJob) -> None:
        self.job, self.answer = job, self.handle.work.remote(spec, job)

    def stop(self) -> None:
        import ray

        ray.kill(self.handle)
