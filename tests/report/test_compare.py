"""Methods side by side: the statistics against scipy and by hand, and `lrctl compare` on runs of three seeds."""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Callable
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy import stats

import comparisons
from command_line import Lrctl
from comparisons import ALL, LOCALS, SEARCHES, document, made_by_hand, seeded
from lrctl.analysis.statistics import holm, paired, paired_tests, verdict
from lrctl.report.compare import Difference, at_worst
from lrctl.report.tables import sentence

NAN, INF = math.nan, math.inf
LOSSES = st.lists(st.tuples(st.floats(0, 10), st.floats(0, 10)), min_size=2, max_size=12)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return comparisons.fill(tmp_path_factory.mktemp("runs") / "store")


# The statistics


@given(LOSSES)
def test_the_interval_and_p_are_those_of_the_paired_t_test(losses: list[tuple[float, float]]) -> None:
    values = [a - b for a, b in losses]
    assume(stdev(values) > 1e-6)
    interval, p = paired(values)
    expected = stats.ttest_rel(*zip(*losses, strict=True))
    assert interval is not None
    assert p is not None
    assert interval == pytest.approx(tuple(expected.confidence_interval(0.95)), rel=1e-6, abs=1e-9)
    assert p == pytest.approx(expected.pvalue, rel=1e-6, abs=1e-9)
    assert (interval[0] <= 0 <= interval[1]) == (p >= 0.05) or p == pytest.approx(0.05, abs=1e-6)


def test_the_interval_by_hand() -> None:
    # Mean 2, standard deviation 1, n = 3: the standard error is 1 / sqrt(3), and t of 2 degrees of freedom is 4.3027.
    interval, p = paired([1.0, 2.0, 3.0])
    assert interval == pytest.approx((2 - 4.30265 / 3**0.5, 2 + 4.30265 / 3**0.5), abs=1e-4)
    assert p == pytest.approx(0.0742, abs=1e-4)


@pytest.mark.parametrize(("value", "p"), [(0.0, 1.0), (-0.5, 0.0)])
def test_differences_that_are_all_equal_leave_no_doubt(value: float, p: float) -> None:
    assert paired([value] * 3) == ((value, value), p)


HOLM = {
    "one comparison": ([0.04], [0.04]),
    "three, by hand": ([0.04, 0.01, 0.03], [0.06, 0.03, 0.06]),
    "never above 1": ([0.9, 0.6], [1.0, 1.0]),
    "those without a test do not count": ([0.02, None, 0.03], [0.04, None, 0.04]),
}


@pytest.mark.parametrize(("ps", "expected"), HOLM.values(), ids=HOLM)
def test_holm(ps: list[float | None], expected: list[float | None]) -> None:
    assert holm(ps) == pytest.approx(expected)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=8))
def test_holm_raises_p_keeps_its_order_and_is_never_stricter_than_bonferroni(ps: list[float]) -> None:
    found = [p or 0.0 for p in holm(ps)]
    assert all(p <= adjusted <= min(1.0, len(ps) * p) for p, adjusted in zip(ps, found, strict=True))
    order = sorted(range(len(ps)), key=ps.__getitem__)
    assert [found[i] for i in order] == sorted(found)


@pytest.mark.parametrize(
    ("a", "b", "expected"),
    [(1.5, 1.0, 0.5), (NAN, 1.0, INF), (INF, 1.0, INF), (1.0, NAN, -INF), (NAN, INF, NAN)],
    ids=str,
)
def test_a_loss_that_is_not_finite_is_worse_than_any_other(a: float, b: float, expected: float) -> None:
    assert at_worst(a) - at_worst(b) == pytest.approx(expected, nan_ok=True)


@given(st.lists(st.lists(st.floats(-1, 1), min_size=2, max_size=6), min_size=1, max_size=5))
def test_no_interval_contradicts_its_verdict(groups: list[list[float]]) -> None:
    assume(all(stdev(group) > 1e-6 for group in groups))
    for group, test in zip(groups, paired_tests(groups), strict=True):
        assert test.interval is not None
        assert test.p_holm is not None
        low, high = test.interval
        assume(abs(test.p_holm - 0.05) > 1e-6)
        shown = verdict(test.mean, test.p_holm, len(group)) in ("better", "worse")
        assert shown is not (low <= 0 <= high)


VERDICTS = {
    "two seeds": ((-0.2, -0.1), 0.2, "2 seeds are too few to tell"),
    "two seeds that leave no doubt": ((-0.2, -0.2), 0.0, "better"),
    "better": ((-0.2, -0.1, -0.15), 0.01, "better"),
    "worse": ((0.2, 0.1, 0.15), 0.01, "worse"),
    "at the level": ((0.2, 0.1, 0.15), 0.05, "worse"),
    "after the correction no more": ((-0.2, -0.1, -0.15), 0.06, "no difference shown"),
    "one seed": ((-0.2,), None, "one seed: no statement"),
    "no seed": ((), None, "no shared seed: no statement"),
    "not finite": ((-0.2, INF), None, "not finite: no statement"),
}


@pytest.mark.parametrize(("values", "p", "expected"), VERDICTS.values(), ids=VERDICTS)
def test_a_verdict_says_no_more_than_the_test(values: tuple[float, ...], p: float | None, expected: str) -> None:
    mean = fmean(values) if values else NAN
    interval = None if p is None else (mean - 0.1, mean + 0.1)
    found = Difference("m", tuple(range(len(values))), values, mean, interval, p, p)
    assert found.verdict == expected
    assert sentence(found, "wsd").endswith(".")


# The command


def compared(lrctl: Lrctl, store: Path, *arguments: str) -> Any:
    done = lrctl("compare", *arguments, "--store", store, "--json")
    assert (done.code, done.err) == (0, "")
    return done.document


def test_methods_over_seeds_with_the_tuned_wsd_as_the_reference(lrctl: Lrctl, store: Path) -> None:
    found = compared(lrctl, store, *ALL)
    labels = [method["label"] for method in found["methods"]]
    assert (found["reference"], found["workload"], found["steps"]) == ("wsd", "linear-regression", 24)
    assert sorted(labels) == ["linear", "local", "semilocal eps=0.05 eps_unit=nats", "wsd"]
    assert [each["label"] for each in found["differences"]] == [label for label in labels if label != "wsd"]
    for method in found["methods"]:
        assert [run["seed"] for run in method["runs"]] == [0, 1, 2]
        for name, mean in method["mean"].items():
            assert mean == pytest.approx(fmean(run[name] for run in method["runs"]))


def test_the_numbers_are_those_of_the_documents(lrctl: Lrctl, store: Path) -> None:
    found = {method["label"]: method["runs"] for method in compared(lrctl, store, *ALL)["methods"]}
    for run in found["local"]:
        whole = document(store, run["run"])
        losses = ("train_loss", "validation_loss", "test_loss", "checkpoint")
        assert [run[name] for name in losses] == [whole[name] for name in losses]
        assert run["full_runs"] == whole["cost"]["full_runs"]
    for run in found["wsd"]:
        (entry,) = (e for e in document(store, run["run"])["results"] if e["name"] == "wsd")
        assert (run["test_loss"], run["checkpoint"]) == (entry["test_loss"], entry["checkpoint"])
        assert run["full_runs"] == entry["full_runs"]


def test_the_differences_are_the_paired_t_test_of_the_test_loss(lrctl: Lrctl, store: Path) -> None:
    found = compared(lrctl, store, *ALL)
    by_label = {m["label"]: [run["test_loss"] for run in m["runs"]] for m in found["methods"]}
    for each in found["differences"]:
        expected = stats.ttest_rel(by_label[each["label"]], by_label["wsd"])
        level = 0.05 * each["p"] / each["p_holm"]
        assert each["interval"] == pytest.approx(list(expected.confidence_interval(1 - level)))
        assert each["p"] == pytest.approx(expected.pvalue)
        assert each["seeds"] == [0, 1, 2]


def test_tables_for_a_person(lrctl: Lrctl, store: Path) -> None:
    out = lrctl("compare", *SEARCHES, *LOCALS, "--against", "local", "--store", store).out
    header, row = (
        next(line.split("  ") for line in out.splitlines() if line.startswith(w)) for w in ("method", "local")
    )
    header, row = ([cell.strip() for cell in line if cell.strip()] for line in (header, row))
    assert header[2:] == ["train loss", "validation loss", "test loss", "seed 0", "seed 1", "seed 2", "full runs"]
    assert row[:2] == ["local (reference)", "3"]
    assert f"{document(store, 'local-2')['test_loss']:.4f}" in row
    assert "Test loss against local" in out
    assert "one comparison, so uncorrected" in out


def test_one_seed_is_no_ground_for_a_statement(lrctl: Lrctl, store: Path) -> None:
    found = compared(lrctl, store, "semilocal-0", "local-0")
    (only,) = found["differences"]
    assert (only["verdict"], only["interval"], only["p"]) == ("one seed: no statement", None, None)
    out = lrctl("compare", "semilocal-0", "local-0", "--store", store).out
    assert "compare over several seeds before you conclude" in out
    assert "seed 0  " not in out.splitlines()[2]


def test_only_seeds_that_both_have_are_compared(lrctl: Lrctl, store: Path) -> None:
    (only,) = compared(lrctl, store, *SEARCHES[:2], *LOCALS[1:], "--against", "local")["differences"]
    assert only["seeds"] == [1]
    (only,) = compared(lrctl, store, SEARCHES[0], LOCALS[1])["differences"]
    assert (only["seeds"], only["verdict"]) == ([], "no shared seed: no statement")


def test_one_run_alone_is_a_table(lrctl: Lrctl, store: Path) -> None:
    done = lrctl("compare", "local-0", "--store", store)
    assert done.code == 0
    assert "against" not in done.out
    assert "(reference)" not in done.out


def test_a_run_given_twice_counts_once(lrctl: Lrctl, store: Path) -> None:
    assert compared(lrctl, store, "local-0", "local-0") == compared(lrctl, store, "local-0")


def test_the_same_training_run_found_by_two_commands_counts_once(lrctl: Lrctl, store: Path) -> None:
    best = document(store, "baseline-1")["results"][0]
    name = seeded(store, "baseline-1", "refound", 1, command="fit-closed-form", results=[best])
    alone, both = compared(lrctl, store, "baseline-1"), compared(lrctl, store, "baseline-1", name)
    assert (both["methods"], both["runs"]) == (alone["methods"], ["baseline-1", "refound"])


AGAINST = {
    "a label": (SEARCHES + LOCALS, "local", "local"),
    "a run": (LOCALS + SEARCHES, "local-1", "local"),
    "a run that is not among the others": (SEARCHES, "local-0", "local"),
    "the first": (LOCALS + SEARCHES, None, "local"),
}


@pytest.mark.parametrize(("runs", "against", "reference"), AGAINST.values(), ids=AGAINST)
def test_the_reference_can_be_chosen(
    runs: list[str], against: str | None, reference: str, lrctl: Lrctl, store: Path
) -> None:
    more = ["--against", against] if against else []
    assert compared(lrctl, store, *runs, *more)["reference"] == reference


def test_a_run_is_a_reference_though_copies_of_its_results_are_compared(lrctl: Lrctl, store: Path) -> None:
    best, second = document(store, "baseline-0")["results"]
    other = {"name": "other", "checkpoint": "f" * 64, "test_loss": 0.9}
    for entries in ([best, second], [best, second | other], [second]):
        name = made_by_hand(store, "baseline-0", "refound", results=entries)
        found = compared(lrctl, store, "baseline-0", name, "--against", name)
        assert found["reference"] == entries[0]["name"]


def given_a_schedule(store: Path, name: str, seed: int = 0, **changes: Any) -> str:
    """A run like those of `fit-closed-form`, that trained what the semi-local search of its seed had found."""
    whole = document(store, f"semilocal-{seed}")
    losses = {f"{which}_loss": whole[f"{which}_loss"] for which in ("train", "validation", "test")}
    entry = {"name": "found", "schedule": whole["schedule"], "given": True, "checkpoint": "f" * 64, "full_runs": 1}
    identity = {"command": "fit-closed-form", "strategy": {"source": f"of {name}"}}
    results = [entry | losses | changes]
    return made_by_hand(
        store, f"baseline-{seed}", name, identity, command="fit-closed-form", results=results, checkpoint="f" * 64
    )


def test_a_schedule_that_was_given_and_is_there_as_found_can_be_the_reference(lrctl: Lrctl, store: Path) -> None:
    name = given_a_schedule(store, "given")
    found = compared(lrctl, store, "semilocal-0", "local-0", "--against", name)
    assert found["reference"] == "semilocal eps=0.05 eps_unit=nats"


def test_a_schedule_that_was_given_says_so_and_that_its_search_is_not_in_the_cost(lrctl: Lrctl, store: Path) -> None:
    names = [given_a_schedule(store, f"given-{seed}", seed) for seed in (0, 1)]
    found = compared(lrctl, store, *names)
    assert [method["label"] for method in found["methods"]] == ["found"]
    assert "found is the schedule that each run was given, whatever search it came from." in found["notes"]
    left_out = "The cost leaves out what led to the schedules that runs were given: given-0, given-1."
    assert left_out in found["notes"]
    stretched = given_a_schedule(store, "stretched", given=False)
    assert compared(lrctl, store, stretched)["notes"] == [left_out.replace("given-0, given-1", stretched)]


def test_a_family_tuned_in_another_way_on_another_seed_is_another_method(lrctl: Lrctl, store: Path) -> None:
    name = made_by_hand(store, "baseline-1", "by-train", {"strategy": {"metric": "train"}})
    found = compared(lrctl, store, "baseline-0", name)
    assert {method["label"] for method in found["methods"]} == {
        f"{family} (baseline metric={metric})" for family in ("wsd", "linear") for metric in ("validation", "train")
    }


def test_a_run_is_called_as_its_folder_is_now(lrctl: Lrctl, store: Path, tmp_path: Path) -> None:
    place = tmp_path / "moved"
    shutil.copytree(store, place)
    (place / "runs" / "local-0").rename(place / "runs" / "moved")
    shutil.copytree(place / "runs" / "local-1", place / "runs" / "copied")
    found = compared(lrctl, place, "moved", "copied")
    assert found["runs"] == ["moved", "copied"]
    assert [run["run"] for run in found["methods"][0]["runs"]] == ["moved", "copied"]
    done = lrctl("report", "copied", "--store", place)
    assert done.code == 0
    assert (place / "runs" / "copied" / "report" / "report.html").is_file()
    assert not (place / "runs" / "local-1" / "report").exists()


def test_without_wsd_the_reference_is_the_best_baseline_by_validation_loss(lrctl: Lrctl, store: Path) -> None:
    entry = document(store, "baseline-0")["results"][0]
    entries = [
        entry | {"name": name, "validation_loss": validation, "test_loss": test}
        for name, validation, test in (("low", 0.5, 0.7), ("lost", None, 0.1), ("lowest", 0.4, 0.9))
    ]
    name = made_by_hand(store, "baseline-0", "others", results=entries)
    assert compared(lrctl, store, "semilocal-0", name)["reference"] == "lowest"
    assert compared(lrctl, store, "semilocal-0", name, "--against", name)["reference"] == "low", "not the first of it"


def test_a_loss_that_is_not_finite_is_told_and_ends_the_statement(lrctl: Lrctl, store: Path) -> None:
    lost = made_by_hand(store, "local-1", "lost", test_loss=None, train_loss=None)
    found = compared(lrctl, store, *SEARCHES, "local-0", lost, "local-2", "--against", SEARCHES[0])
    (only,) = found["differences"]
    assert only["verdict"] == "not finite: no statement"
    assert only["values"][1] is None
    assert "local, seed 1: the test loss is not finite; it counts as worse than any other." in found["notes"]
    out = lrctl("compare", *SEARCHES, "local-0", lost, "local-2", "--store", store).out
    assert out.count("not finite") >= 4


def test_each_may_have_lost_on_a_seed_of_its_own(lrctl: Lrctl, store: Path) -> None:
    ours = made_by_hand(store, "local-1", "lost", test_loss=None, train_loss=None)
    theirs = made_by_hand(store, "semilocal-0", "lost-too", test_loss=None, train_loss=None)
    found = compared(lrctl, store, "local-0", ours, theirs, "semilocal-1", "--against", theirs)
    (only,) = found["differences"]
    assert (only["mean"], only["verdict"]) == (None, "not finite: no statement")


def test_other_settings_of_the_optimizer_make_another_method_and_a_note(lrctl: Lrctl, store: Path) -> None:
    name = made_by_hand(store, "local-0", "decayed", {"optimizer": {"weight_decay": 0.5}})
    found = compared(lrctl, store, "local-0", name)
    one, other = (method["label"] for method in found["methods"])
    assert other == f"{one} weight_decay=0.5"
    assert found["notes"][0] == "The runs differ in optimizer.weight_decay: none (local-0), 0.5 (decayed)."


UNLIKE: dict[str, tuple[dict[str, Any], str]] = {
    "workload": ({"workload": {"name": "other"}}, "workload.name: linear-regression and other"),
    "its parameters": ({"workload": {"dim": 5}}, "workload.dim: 4 and 5"),
    "a parameter at its default": ({"workload": {"batch_size": 5}}, "workload.batch_size: 8 and 5"),
    "steps": ({"training": {"steps": 30}}, "training.steps: 24 and 30"),
    "data": ({"content": "a" * 64}, "the digest of data and code: none and #"),
}


@pytest.mark.parametrize(("change", "said"), UNLIKE.values(), ids=UNLIKE)
def test_runs_of_different_experiments_are_not_compared(
    change: dict[str, Any], said: str, lrctl: Lrctl, store: Path
) -> None:
    name = made_by_hand(store, "local-0", "unlike", change)
    done = lrctl("compare", "semilocal-0", name, "--store", store)
    assert (done.code, done.out) == (2, "")
    assert f"runs semilocal-0 and unlike: {said}" in done.error


def unfinished(store: Path) -> str:
    name = made_by_hand(store, "local-0", "begun")
    (store / "runs" / name / "result.json").unlink()
    return name


BAD = {
    "no such run": (lambda _: ["local-9"], "unknown run; did you mean 'local-2'?"),
    "no name of a run": (lambda _: ["local/2"], "local/2: unknown run; did you mean 'local-2'?"),
    "unfinished": (lambda store: [unfinished(store)], "run begun: it is not finished; its command continues it: lrctl"),
    "ended before its time": (
        lambda store: [made_by_hand(store, "local-0", "part", status="budget")],
        "run part: it is not finished (status 'budget')",
    ),
    "nothing trained": (
        lambda store: [comparisons.untrained(store)],
        "run fitted: nothing was trained to the end in it, so it has no losses to compare; let fit-closed-form train",
    ),
    "no such reference": (lambda _: ["local-0", "--against", "locl"], "--against: unknown method or run 'locl'"),
    "twice the same method": (
        lambda store: ["local-0", made_by_hand(store, "local-0", "again", checkpoint="e" * 64)],
        "grid=0.3,0.1,0.01 is there twice with seed 0; a method is compared once per seed",
    ),
}


@pytest.mark.parametrize(("arguments", "said"), BAD.values(), ids=BAD)
@pytest.mark.parametrize("command", ["compare", "report"])
def test_what_cannot_be_compared_is_refused_in_one_sentence(
    command: str, arguments: Any, said: str, lrctl: Lrctl, store: Path
) -> None:
    done = lrctl(command, *arguments(store), "--store", store)
    assert (done.code, done.out) == (2, "")
    assert said in done.err.splitlines()[-1]


def test_a_store_that_is_not_there_is_refused_and_not_made(lrctl: Lrctl, tmp_path: Path) -> None:
    done = lrctl("compare", "local-0", "--store", tmp_path / "none")
    assert (done.code, done.out) == (2, "")
    assert "there is no store" in done.error
    assert not (tmp_path / "none").exists()


DAMAGES: dict[str, Callable[[str], str] | None] = {
    "missing": None,
    "not JSON": lambda text: text[:-9],
    "of another kind": lambda _: "[]",
    "changed": lambda text: text.replace('"steps": 24', '"steps": 25'),
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_a_damaged_identity_is_a_failure_of_the_store(
    damage: Callable[[str], str] | None, lrctl: Lrctl, store: Path
) -> None:
    identity = store / "runs" / made_by_hand(store, "local-0", "damaged") / "identity.json"
    identity.write_text(damage(identity.read_text())) if damage else identity.unlink()
    done = lrctl("compare", "damaged", "--store", store)
    assert (done.code, done.error) == (
        1,
        "error: run damaged: its identity.json is missing or damaged; the command that made it makes it whole again",
    )


def test_a_method_on_many_seeds_has_no_column_for_each(lrctl: Lrctl, store: Path) -> None:
    names = [seeded(store, "local-0", f"seed-{seed}", seed, test_loss=0.5 + seed / 100) for seed in range(10, 16)]
    done = lrctl("compare", *names, "--store", store)
    assert "seed 10" not in done.out
    assert json.loads(lrctl("compare", *names, "--store", store, "--json").out)["methods"][0]["mean"]["test_loss"] == (
        pytest.approx(0.625)
    )
