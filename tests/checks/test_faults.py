"""Planted faults: each is named by the rule that it breaks, and nothing else is called broken."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from lrctl.checks.building import SecondProcess
from lrctl.checks.check import RULES, Findings, check
from lrctl.checks.rules import Broken
from lrctl.checks.splits import compared
from lrctl.contracts.job import TrainSpec
from lrctl.recipe.workloads import content_digest, load_workload

FILE = Path(__file__).with_name("faults.py")

FAULTS = {
    "batch() counts calls": ("CountsCalls", "batch"),
    "loss draws from its own Generator": ("LossGenerator", "repeated loss"),
    "model state in a Python attribute": ("PythonAttribute", "checkpoint"),
    "optimizer state beside state_dict": ("StateBeside", "checkpoint"),
    "unseeded shuffle at construction": ("UnseededShuffle", "building"),
    "memory grows at each step": ("KeepsLosses", "memory"),
    "iterator of a DataLoader": ("LoaderIterator", "batch"),
    "EMA beside the model": ("AverageBeside", "checkpointed model"),
    "optimizer changes its LR": ("ChangesLR", "lr"),
    "model() returns one instance": ("OneModel", "model"),
    "order of hash(str)": ("HashOrder", "process"),
    "augmentation of the data in place": ("AugmentsInPlace", "batch"),
    "clock": ("Clock", "repeated loss"),
    "validation is test": ("OneSplit", "splits"),
    "random evaluate": ("RandomEvaluation", "evaluation"),
    "evaluate() leaves training mode": ("TrainingMode", "evaluation"),
    "loss below 0": ("NegativeLoss", "sign"),
    "summed loss": ("SummedLoss", "mean"),
    "loss() returns (loss, accuracy)": ("LossAndAccuracy", "loss"),
    "Python counter in loss": ("LossCounter", "repeated loss"),
    # Beside those of the first list.
    "a new iterator each time": ("FreshIterator", "batch"),
    "loss changes the data in place": ("NormalisesInPlace", "repeated loss"),
    "curriculum of the workload": ("Curriculum", "other jobs"),
    "unseeded first weights": ("UnseededWeights", "building"),
    "the day of the clock": ("Date", "process"),
    "drawn at import": ("DrawnAtImport", "process"),
    "number of the process": ("ProcessId", "process"),
    "pretrained layer shared by models": ("SharedEmbedding", "model"),
    "buffer that is not saved": ("UnsavedBuffer", "checkpoint"),
    "loss of each row": ("LossOfEachRow", "loss"),
    "loss without gradient": ("Detached", "loss"),
    "outputs kept in numpy": ("KeepsOutputs", "memory"),
    "float32 masters beside state_dict": ("LostMasters", "checkpoint"),
    "optimizer ignores the LR": ("IgnoresLR", "lr"),
    "optimizer steps at every second call": ("EverySecondStep", "every lr"),
    "optimizer of other parameters": ("OtherParameters", "optimizer"),
    "first group with LR 0": ("FrozenFirstGroup", "groups"),
    "state that no checkpoint can hold": ("StateOfAnotherKind", "checkpoint"),
    "splits that overlap": ("OverlappingSplits", "splits"),
    "validation on training data": ("ValidatesOnTraining", "splits"),
    "evaluate() moves batch normalisation": ("MovesBatchNorm", "evaluation"),
    "no loss among the metrics": ("NoLossAmongMetrics", "evaluation"),
    "data that evaluate() changes": ("HarderAfterEvaluation", "trace"),
    "random score batches": ("RandomScores", "scores"),
}


@pytest.fixture(scope="module")
def second() -> Iterator[SecondProcess]:
    with closing(SecondProcess()) as process:
        yield process


def checked(name: str, second: SecondProcess, averaging: tuple[float, ...] = ()) -> Findings:
    spec = TrainSpec(f"{FILE}:{name}", {}, "", 0, None, averaging=averaging)
    content = content_digest(spec.workload, load_workload(spec.workload, {}, 0))
    return check(replace(spec, content=content), second)


def test_a_sound_workload_keeps_every_rule(second: SecondProcess) -> None:
    found = checked("Sound", second)
    assert [each for each in found.findings if each.status != "holds"] == []
    assert len(found.findings) == len(RULES)


@pytest.mark.parametrize(("name", "rule"), FAULTS.values(), ids=FAULTS)
def test_a_fault_is_named_by_its_rule(name: str, rule: str, second: SecondProcess) -> None:
    found = checked(name, second)
    assert [each.rule for each in found.findings if each.status == "broken"] == [rule]
    assert all(each.advice for each in found.findings if each.status == "broken")


@pytest.mark.parametrize(("shared", "leaks"), [(64, True), (8, True), (4, False), (0, False)])
def test_held_out_rows_that_are_in_the_training_data_are_told_by_a_few_batches(shared: int, leaks: bool) -> None:
    """Of 1000 rows of training data 128 are seen; 500 are held out, of which so many were seen."""
    training, held_out = (
        Counter(str(row).encode() for row in rows) for rows in (range(128), range(1000, 1500 - shared))
    )
    seen = {"training": training, "validation": held_out + Counter(list(training)[:shared]), "test": Counter([b"a"])}
    if leaks:
        with pytest.raises(Broken, match="rows that the model is shown for training are those of validation"):
            compared(seen, 0.064)
    else:
        assert "share at most" in compared(seen, 0.064)


def test_groups_with_lrs_of_their_own_are_told_as_their_ratio(second: SecondProcess) -> None:
    found = {each.rule: each for each in checked("OwnGroups", second).findings}
    assert found["groups"].status == "holds"
    assert found["groups"].found.startswith("2 groups: the schedule's LR times 1, 0.1 (their own LRs over the first")


def test_one_batch_at_every_step_is_told_and_may_be_right(second: SecondProcess) -> None:
    found = {each.rule: each for each in checked("FirstBatchOnly", second).findings}
    assert {name for name, each in found.items() if each.status != "holds"} == {"steps"}
    assert "a mistake if next(iter(loader)) begins anew each time" in found["steps"].found


@pytest.mark.parametrize(("name", "broken"), [("Sound", []), ("Streamed", ["lr"])])
def test_averages_whose_batch_normalisation_cannot_be_measured_are_found(
    name: str, broken: list[str], second: SecondProcess
) -> None:
    found = checked(name, second, (1.0, 4.0)).findings
    assert [each.rule for each in found if each.status == "broken"] == broken
    assert all(each.found.startswith("training.averaging: ") for each in found if each.status == "broken")
    assert not checked(name, second).broken
