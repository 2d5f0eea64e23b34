"""All rules that results rest on, tried on a workload.

Imports torch.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any, Literal

from lrctl.checks import building, evaluation, loss, memory, optimizer, program, purity, splits
from lrctl.checks.rules import Broken, Rule, Subject, Untold
from lrctl.contracts.job import TrainSpec
from lrctl.contracts.program import Program
from lrctl.contracts.table import Table
from lrctl.errors import MissingError, UsageError
from lrctl.recipe.workloads import load_any, load_workload, origin

FORMAT = "lrctl-check/1"

SEE = "mend that; `lrctl guide own-project` shows a workload that keeps all rules"

RULES: tuple[Rule, ...] = (
    building.PREPARE,
    purity.NEW_MODEL,
    purity.BATCH,
    building.STEPS_DIFFER,
    building.BUILDING,
    loss.LOSS,
    loss.REPEATED,
    optimizer.OPTIMIZER,
    optimizer.GROUPS,
    purity.LR_USED,
    optimizer.EVERY_STEP,
    loss.SIGN,
    loss.MEAN,
    purity.OTHER_JOBS,
    purity.CUT_RUN,
    evaluation.REPEATABLE,
    evaluation.A_LOSS,
    evaluation.NO_TRACE,
    evaluation.FROM_CHECKPOINT,
    evaluation.SAME_SCORES,
    splits.SPLITS,
    memory.LEVEL,
    building.PROCESS,
)

Status = Literal["holds", "broken", "could not be told"]


@dataclass(frozen=True, slots=True)
class Finding:
    """What was found out about a rule, and what to do."""

    rule: str
    text: str
    status: Status
    found: str
    advice: str = ""


@dataclass(frozen=True, slots=True)
class Findings:
    """What was found out about a workload."""

    workload: str
    seed: int
    device: str
    findings: tuple[Finding, ...]

    @property
    def broken(self) -> bool:
        return any(finding.status == "broken" for finding in self.findings)

    def to_json(self) -> dict[str, Any]:
        """The document that `lrctl check --json` prints."""
        told = {"workload": self.workload, "seed": self.seed, "device": self.device}
        rules = [asdict(finding) for finding in self.findings]
        return {"format": FORMAT, **told, "status": "broken" if self.broken else "holds", "rules": rules}

    def table(self) -> Table:
        rows = [(each.rule, each.text, each.status, each.found, each.advice) for each in self.findings]
        columns = ("rule", "which says", "it", "found", "to do")
        return Table(f"{self.workload}, seed {self.seed}, {self.device}", columns, tuple(rows))


def check(spec: TrainSpec, elsewhere: building.SecondProcess | None = None) -> Findings:
    """Try all rules on a workload that is built by its name."""
    workload = load_any(spec.workload, {**spec.workload_params, **spec.workload_unkeyed}, spec.seed)
    if isinstance(workload, Program):
        return check_program(workload, spec)
    second = elsewhere or building.SecondProcess()
    try:
        rebuild = partial(load_workload, spec.workload, spec.workload_params, spec.seed)
        subject = Subject(building.own_workload(spec), spec, rebuild, second)
        with subject.at_work():
            return Findings(spec.workload, spec.seed, spec.device, tuple(tried(subject)))
    finally:
        if elsewhere is None:
            second.close()


def check_program(own: Program, spec: TrainSpec) -> Findings:
    """Try all rules on a program."""
    subject = program.started(own, spec)
    with closing(subject):
        return Findings(spec.workload, spec.seed, spec.device, tuple(tried(subject, program.RULES)))


def tried(subject: Subject | program.Started, rules: Sequence[Rule] = RULES) -> Iterator[Finding]:
    """What is found about each rule; one that rests on a broken one is not tried."""
    lost: set[str] = set()
    for rule in rules:
        finding = blocked(rule, lost) or probed(rule, subject)
        if finding.status == "broken" or lost & {*rule.rests_on}:
            lost.add(rule.name)
        yield finding


def blocked(rule: Rule, lost: set[str]) -> Finding | None:
    missing = [name for name in rule.rests_on if name in lost]
    if not missing:
        return None
    return Finding(rule.name, rule.text, "could not be told", f"it rests on '{missing[0]}'", "mend that first")


def probed(rule: Rule, subject: Subject | program.Started) -> Finding:
    told = partial(Finding, rule.name, rule.text)
    try:
        return told("holds", rule.probe(subject))
    except Broken as broken:
        return told("broken", broken.found, broken.advice)
    except Untold as untold:
        return told("could not be told", str(untold))
    except MissingError:
        raise
    except UsageError as error:
        found, _, advice = str(error).partition("; ")
        return told("broken", found, advice or SEE)
    except Exception as error:
        where = origin(error, subject.spec.workload)
        return told("broken", f"{type(error).__name__}: {error}{where}", SEE)
