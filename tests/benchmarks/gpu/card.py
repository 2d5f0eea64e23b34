"""What is measured on: the card, what is free of it, and the versions; and what lrctl needs and is not installed.

PYTHONPATH=tests python -m benchmarks.gpu.card [--cpu] [--out DIR]
"""

from __future__ import annotations

import os
import platform
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, requires, version

import torch
from packaging.requirements import Requirement

from benchmarks.gpu.measurement import begin

EXTRAS = ("", "quickstart")


def unmet(package: str, extras: tuple[str, ...] = ("",), seen: frozenset[str] = frozenset()) -> Iterator[str]:
    """What a package asks for, and what that asks for, and is not installed, or in another version."""
    for text in requires(package) or []:
        asked = Requirement(text)
        if asked.name in seen or (asked.marker and not any(asked.marker.evaluate({"extra": name}) for name in extras)):
            continue
        try:
            if not asked.specifier.contains(installed := version(asked.name), prereleases=True):
                yield f"{package} asks for {asked.name}{asked.specifier}, here is {installed}"
        except PackageNotFoundError:
            yield f"{package} asks for {asked.name}, which is not installed"
        else:
            yield from unmet(asked.name, ("", *asked.extras), seen | {asked.name, package})


def main() -> None:
    measured = begin("card")
    versions = {name: version(name) for name in ("lrctl", "torch", "numpy")} | {"python": platform.python_version()}
    if measured.cpu:
        measured.say("none: a CPU", cores=len(os.sched_getaffinity(0)), **versions)
    else:
        free, total = torch.cuda.mem_get_info()
        told = {"gigabytes": total / 1e9, "free": free / 1e9, "cuda": torch.version.cuda}
        measured.say(torch.cuda.get_device_name(), **told, cores=len(os.sched_getaffinity(0)), **versions)
    for line in sorted(set(unmet("lrctl", EXTRAS))):
        measured.say(line)


if __name__ == "__main__":
    main()
