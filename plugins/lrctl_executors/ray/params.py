"""What can be set of the executor; nothing of it decides a number."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated

from lrctl.contracts.executor import gpus_of
from lrctl.contracts.job import TrainSpec
from lrctl.errors import UsageError

AUTO = "auto"
"""The address of whatever Ray is found."""


@dataclass(frozen=True, slots=True)
class RayParams:
    workers: Annotated[int, "jobs at a time; 0 is as many as Ray has room for"] = 0
    address: Annotated[
        str, "of a cluster: HOST:PORT, or auto for RAY_ADDRESS or this machine's; empty starts a Ray here"
    ] = ""
    cpus_per_job: Annotated[float, "CPU cores that a job holds; 0 is one for each of its threads"] = 0.0
    gpus_per_job: Annotated[float, "GPUs that a job on CUDA holds; of a part, such as 0.25, jobs share one"] = 1.0

    def __post_init__(self) -> None:
        for name in ("workers", "cpus_per_job"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name}: must be at least 0, got {getattr(self, name):g}")
        if not (0 < self.gpus_per_job <= 1 or self.gpus_per_job == int(self.gpus_per_job) > 0):
            raise ValueError(f"gpus_per_job: must be a part of 1, or a whole number, got {self.gpus_per_job:g}")
        host, _, port = self.address.rpartition(":")
        if self.address not in ("", AUTO) and not (host and "/" not in host and port.isdigit()):
            raise ValueError(f"address: must be HOST:PORT, auto or empty, got {self.address!r}")

    def share(self, spec: TrainSpec) -> Mapping[str, float]:
        """What a job holds of a node, by Ray's names of its resources.

        Raises:
            UsageError: the device is one GPU of this machine.
        """
        if spec.device.startswith("cuda:"):
            raise UsageError(
                f"--device {spec.device}: Ray gives each job its GPU; give --device cuda, or another executor"
            )
        gpus = gpus_of(spec.device) or (self.gpus_per_job if spec.device == "cuda" else 0)
        return {"CPU": self.cpus_per_job or spec.threads, "GPU": gpus}
