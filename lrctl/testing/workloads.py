"""The contract of workloads."""

from __future__ import annotations

import dataclasses

from lrctl.contracts.optimizers import AdamW
from lrctl.contracts.workload import WithOptimizer, Workload
from lrctl.testing.scripted import SPEC


def check_workload(workload: Workload) -> None:
    """A workload keeps the rules that `lrctl check` tells of, but for those that need to build it anew."""
    from lrctl.checks.check import tried
    from lrctl.checks.rules import Subject

    name = type(workload).__name__
    assert isinstance(workload, Workload), f"{name} lacks model, batch, loss or evaluate"
    spec = dataclasses.replace(SPEC, optimizer=None if isinstance(workload, WithOptimizer) else AdamW())
    subject = Subject(workload, spec)
    with subject.at_work():
        for finding in tried(subject):
            assert finding.status != "broken", f"{name}: {finding.rule}: {finding.found}; {finding.advice}"
