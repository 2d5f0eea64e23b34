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

FOLDER = Path(__file__).parent

FAULTS = {
    "batch() counts calls": ("faults_in_data.py:CountsCalls", "batch"),
    "loss draws from its own Generator": ("faults_in_training.py:LossGenerator", "repeated loss"),
    "model state in a Python attribute": ("faults_in_training.py:PythonAttribute", "checkpoint"),
    "optimizer state beside state_dict": ("faults_in_training.py:StateBeside", "checkpoint"),
    "unseeded shuffle at construction": ("faults_in_data.py:UnseededShuffle", "building"),
    "memory grows at each step": ("faults_in_training.py:KeepsLosses", "memory"),
    "iterator of a DataLoader": ("faults_in_data.py:LoaderIterator", "batch"),
    "EMA beside the model": ("faults_in_evaluation.py:AverageBeside", "checkpointed model"),
    "optimizer changes its LR": ("faults_in_training.py:ChangesLR", "lr"),
    "model() returns one instance": ("faults_in_training.py:OneModel", "model"),
    "order of hash(str)": ("faults_in_data.py:HashOrder", "process"),
    "augmentation of the data in place": ("faults_in_data.py:AugmentsInPlace", "batch"),
    "clock": ("faults_in_data.py:Clock", "repeated loss"),
    "validation is test": ("faults_in_evaluation.py:OneSplit", "splits"),
    "random evaluate": ("faults_in_evaluation.py:RandomEvaluation", "evaluation"),
    "evaluate() leaves training mode": ("faults_in_evaluation.py:TrainingMode", "evaluation"),
    "loss below 0": ("faults_in_training.py:NegativeLoss", "sign"),
    "summed loss": ("faults_in_training.py:SummedLoss", "mean"),
    "loss() returns (loss, accuracy)": ("faults_in_training.py:LossAndAccuracy", "loss"),
    "Python counter in loss": ("faults_in_training.py:LossCounter", "repeated loss"),
    # Beside those of the first list.
    "a new iterator each time": ("faults_in_data.py:FreshIterator", "batch"),
    "loss changes the data in place": ("faults_in_data.py:NormalisesInPlace", "repeated loss"),
    "curriculum of the workload": ("faults_in_training.py:Curriculum", "other jobs"),
    "unseeded first weights": ("faults_in_data.py:UnseededWeights", "building"),
    "the day of the clock": ("faults_in_data.py:Date", "process"),
    "drawn at import": ("faults_in_data.py:DrawnAtImport", "process"),
    "number of the process": ("faults_in_data.py:ProcessId", "process"),
    "pretrained layer shared by models": ("faults_in_training.py:SharedEmbedding", "model"),
    "buffer that is not saved": ("faults_in_training.py:UnsavedBuffer", "checkpoint"),
    "loss of each row": ("faults_in_training.py:LossOfEachRow", "loss"),
    "loss without gradient": ("faults_in_training.py:Detached", "loss"),
    "outputs kept in numpy": ("faults_in_training.py:KeepsOutputs", "memory"),
    "float32 masters beside state_dict": ("faults_in_training.py:LostMasters", "checkpoint"),
    "optimizer ignores the LR": ("faults_in_training.py:IgnoresLR", "lr"),
    "optimizer steps at every second call": ("faults_in_training.py:EverySecondStep", "every lr"),
    "optimizer of other parameters": ("faults_in_training.py:OtherParameters", "optimizer"),
    "first group with LR 0": ("faults_in_training.py:FrozenFirstGroup", "groups"),
    "state that no checkpoint can hold": ("faults_in_training.py:StateOfAnotherKind", "checkpoint"),
    "splits that overlap": ("faults_in_evaluation.py:OverlappingSplits", "splits"),
    "validation on training data": ("faults_in_evaluation.py:ValidatesOnTraining", "splits"),
    "evaluate() moves batch normalisation": ("faults_in_evaluation.py:MovesBatchNorm", "evaluation"),
    "no loss among the metrics": ("faults_in_evaluation.py:NoLossAmongMetrics", "evaluation"),
    "data that evaluate() changes": ("faults_in_evaluation.py:HarderAfterEvaluation", "trace"),
    "random score batches": ("faults_in_evaluation.py:RandomScores", "scores"),
}


@pytest.fixture(scope="module")
def second() -> Iterator[SecondProcess]:
    with closing(SecondProcess()) as process:
        yield process


def checked(name: str, second: SecondProcess, averaging: tuple[float, ...] = ()) -> Findings:
    spec = TrainSpec(str(FOLDER / name), {}, "", 0, None, averaging=averaging)
    content = content_digest(spec.workload, load_workload(spec.workload, {}, 0))
    return check(replace(spec, content=content), second)


def test_a_sound_workload_keeps_every_rule(second: SecondProcess) -> None:
    found = checked("sound.py:Sound", second)
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
    found = {each.rule: each for each in checked("faults_in_training.py:OwnGroups", second).findings}
    assert found["groups"].status == "holds"
    assert found["groups"].found.startswith("2 groups: the schedule's LR times 1, 0.1 (their own LRs over the first")


def test_one_batch_at_every_step_is_told_and_may_be_right(second: SecondProcess) -> None:
    found = {each.rule: each for each in checked("faults_in_data.py:FirstBatchOnly", second).findings}
    assert {name for name, each in found.items() if each.status != "holds"} == {"steps"}
    assert "a mistake if next(iter(loader)) begins anew each time" in found["steps"].found


@pytest.mark.parametrize(("name", "broken"), [("Sound", []), ("Streamed", ["lr"])])
def test_averages_whose_batch_normalisation_cannot_be_measured_are_found(
    name: str, broken: list[str], second: SecondProcess
) -> None:
    found = checked(f"sound.py:{name}", second, (1.0, 4.0)).findings
    assert [each.rule for each in found if each.status == "broken"] == broken
    assert all(each.found.startswith("training.averaging: ") for each in found if each.status == "broken")
    assert not checked(f"sound.py:{name}", second).broken
