"""The workload of a task, in the process that does its jobs: the one that the search was prepared with, or none."""

from __future__ import annotations

import json
from functools import lru_cache

from lrctl.contracts.canonical import canonical_json
from lrctl.contracts.job import TrainSpec
from lrctl.contracts.program import Program
from lrctl.contracts.workload import Workload
from lrctl.errors import UsageError
from lrctl.recipe.workloads import content_digest, load_any, source_digest


def workload_of(spec: TrainSpec, *, checked: bool = True) -> Workload | Program:
    """The task's workload: built once in each process, since it may hold data.

    `checked` says whether the task has the seed that the search was prepared with: with another seed the data's digest
    may be another.
    """
    params = canonical_json({**spec.workload_params, **spec.workload_unkeyed})
    return built(spec.workload, params, spec.seed, spec.content, checked)


@lru_cache(maxsize=2)
def built(name: str, params: str, seed: int, content: str, checked: bool) -> Workload | Program:
    workload = load_any(name, json.loads(params), seed)
    check_content(name, content, workload, checked=checked)
    return workload


def check_content(name: str, content: str, workload: Workload | Program, *, checked: bool) -> None:
    """Refuse a workload whose data, which are made ready, or code are no longer those that the search began with."""
    found = content_digest(name, workload)
    if found != content if checked else not content.startswith(source_digest(name, workload)):
        raise UsageError(
            f"workload {name}: its data or code changed while the search runs; give the same command again"
        )
