"""The contract of programs."""

from __future__ import annotations

import dataclasses

from lrctl.contracts.program import OWN_DEVICE
from lrctl.registry.registry import registry
from lrctl.registry.values import build
from lrctl.testing.scripted import SPEC


def check_program(command: str, steps: int = 40) -> None:
    """A program keeps the rules that `lrctl check --program` tells of. It is started eight times, or nine.

    `steps` is the length of the run that it is told of. Paths in the command are taken from the working directory.
    """
    from lrctl.checks.check import check_program as found

    name, *_ = registry().marked("workload", "program")
    part = registry().get("workload", name)
    program = part.target(build(part.params, {"command": command}, "check_program"), 0)
    program.prepare()
    spec = dataclasses.replace(SPEC, workload=name, device=OWN_DEVICE, steps=steps)
    for finding in found(program, spec).findings:
        assert finding.status != "broken", f"{command}: {finding.rule}: {finding.found}; {finding.advice}"
