"""`lrctl fit-closed-form`: from a run or a file, with and without training."""

from __future__ import annotations

import json
import shutil
import tomllib
from pathlib import Path
from typing import Any

import pytest

import lrctl as api
from command_line import Done, Lrctl
from lrctl.contracts.axes import tunable, with_peak
from lrctl.contracts.piecewise import PiecewiseLinear
from lrctl.contracts.strategy import Batch, RunSpec, SearchResult
from lrctl.errors import UsageError
from lrctl.registry.registry import registry
from lrctl.registry.schedules import schedule_text
from lrctl.testing import play
from lrctl_strategies.closed_form.fitting import fit
from lrctl_strategies.closed_form.params import FitClosedForm
from lrctl_strategies.closed_form.prediction import bound, predicted
from lrctl_strategies.closed_form.search import fit_closed_form
from lrctl_strategies.families import every_tunable
from searches import search, smoke

STEPS = 40
HUMP = PiecewiseLinear(((0, 0.0), (18, 0.2), (40, 0.02)))
SMALL = ["--executor", "serial", "--grid", "0.3,0.1,0.03", "--baseline", "triangle", "--quiet", "--json"]


def fitted(loss: Any = None, steps: int = STEPS, **params: Any) -> tuple[SearchResult, list[Batch]]:
    """A fit of `HUMP` on a landscape that gives the loss of whole runs."""
    p = FitClosedForm(source=schedule_text(HUMP, STEPS), **{"family": ("triangle", "quadratic", "constant"), **params})
    return play(fit_closed_form, p, steps, lambda job: loss(job.schedule) if loss else 1.0)


def peak(schedule: Any) -> float:
    return max(float(schedule(step)) for step in range(STEPS + 1))


def near(lr: float) -> Any:
    """The loss of a run is the distance of its peak to an LR."""
    return lambda schedule: abs(peak(schedule) - lr)


@pytest.fixture(scope="module")
def searched(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A store with a finished search of 40 steps, and the run's name."""
    store = tmp_path_factory.mktemp("searched") / "store"
    sizes = {"segments": 4, "grid_size": 2, "grid": (0.3, 0.1, 0.01)}
    recipe = smoke(**{f"strategy__semilocal__{name}": value for name, value in sizes.items()})
    return store, search(store, recipe)["run"]


@pytest.fixture
def run(lrctl: Lrctl, searched: tuple[Path, str]) -> str:
    """The name of a finished search in a store of the test's own, in the working directory of `lrctl`."""
    del lrctl  # it has changed the working directory
    shutil.copytree(searched[0], ".lrctl")
    return searched[1]


@pytest.fixture
def only(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Leaves these families only to a fit that names none: a fit of all takes seconds."""

    def leave(*names: str) -> None:
        monkeypatch.setattr(
            "lrctl_strategies.closed_form.search.every_tunable",
            lambda: [name for name in every_tunable() if name in names],
        )

    return leave


def refused(done: Done, *words: str) -> None:
    assert (done.code, done.out) == (2, "")
    assert all(word in done.error for word in words), done.error


def test_a_plain_fit_trains_nothing_and_needs_no_workload(lrctl: Lrctl, run: str) -> None:
    document = lrctl(
        "fit-closed-form", run, "--workload", "gpt", "--set", "workload.path=none.txt", *SMALL[-2:]
    ).document
    assert (document["checkpoint"], document["cost"]["jobs"], document["train_loss"]) == (None, 0, None)
    families = {part.name for part in registry().of("schedule") if tunable(part.target)}
    assert {entry["family"] for entry in document["fits"]} == families
    errors = [entry["error"] for entry in document["fits"]]
    assert errors == pytest.approx(sorted(errors), abs=1e-6)
    best = document["fits"][0]
    assert document["schedule"] == {"family": best["family"], "params": best["params"]}
    schedule = api.load_schedule(document["files"]["schedule"])
    assert type(schedule) is registry().get("schedule", best["family"]).target


def test_a_run_and_its_schedule_file_give_the_same_fit(lrctl: Lrctl, run: str) -> None:
    flags = ["--family", "triangle", "--family", "linear", "--quiet", "--json"]
    by_name = lrctl("fit-closed-form", run, *flags).document
    by_file = lrctl("fit-closed-form", f".lrctl/runs/{run}/schedule.json", *flags).document
    assert by_name["fits"] == by_file["fits"]
    assert (by_name["steps"], by_file["steps"]) == (40, 40)


def test_a_run_s_own_recipe_is_used_for_what_is_trained(lrctl: Lrctl, run: str) -> None:
    document = lrctl("fit-closed-form", run, "--family", "triangle", "--tune", *SMALL).document
    frozen = [tomllib.loads(Path(f".lrctl/runs/{name}/recipe.toml").read_text()) for name in (run, document["run"])]
    assert frozen[0]["workload"] == frozen[1]["workload"]
    assert frozen[0]["training"] == frozen[1]["training"]


def test_the_schedule_is_trained_beside_its_fits_and_gives_the_search_s_own_losses(lrctl: Lrctl, run: str) -> None:
    document = lrctl("fit-closed-form", run, "--family", "quadratic", "--tune", *SMALL).document
    entries = {entry["name"]: entry for entry in document["results"]}
    assert sorted(entries) == ["found", "quadratic", "triangle"]
    search = json.loads(Path(f".lrctl/runs/{run}/result.json").read_text())
    for loss in ("train_loss", "validation_loss", "test_loss"):
        assert entries["found"][loss] == search[loss]
    losses = [entry["validation_loss"] for entry in document["results"]]
    assert losses == sorted(losses)
    assert document["validation_loss"] == losses[0]


def test_a_found_schedule_that_is_trained_again_is_compared_once(lrctl: Lrctl, run: str) -> None:
    tuned = lrctl("fit-closed-form", run, "--family", "quadratic", "--tune", *SMALL).document["run"]
    labels = [method["label"] for method in lrctl("compare", run, tuned, "--json").document["methods"]]
    assert sorted(label.partition(" ")[0] for label in labels) == ["quadratic", "semilocal", "triangle"]
    alone = [method["label"] for method in lrctl("compare", tuned, "--json").document["methods"]]
    assert "found" in alone


def test_the_same_command_again_trains_nothing(lrctl: Lrctl, run: str) -> None:
    command = ["fit-closed-form", run, "--family", "triangle", "--tune", *SMALL]
    first, again = lrctl(*command).document, lrctl(*command).document
    assert first == again


def test_what_a_baseline_trained_is_not_trained_again(lrctl: Lrctl, run: str) -> None:
    lrctl("baseline", "--recipe", "smoke", "--family", "triangle", *SMALL[:4], *SMALL[-2:])
    document = lrctl("fit-closed-form", run, "--family", "quadratic", "--tune", *SMALL).document
    assert document["cost"]["jobs_reused"] >= 3


def test_a_fit_reads_as_a_table(lrctl: Lrctl, run: str) -> None:
    done = lrctl("fit-closed-form", run, "--family", "triangle", "--family", "linear", "--predict", "--quiet")
    assert (done.code, done.err) == (0, "")
    header = next(line for line in done.out.splitlines() if line.startswith("family"))
    assert header.split() == ["family", "bound", "error", "parameters", "fitted"]
    assert "not finite" not in done.out
    assert "checkpoint" not in done.out


def test_a_dry_run_of_a_plain_fit_says_that_nothing_is_trained(lrctl: Lrctl, run: str) -> None:
    document = lrctl("fit-closed-form", run, "--family", "triangle", "--dry-run", "--json", "--quiet").document
    assert (document["jobs"], document["steps"], document["seconds"]) == (0, 0, 0)


def test_a_run_of_the_user_s_own_code_is_fitted_without_running_it(lrctl: Lrctl) -> None:
    Path("own.py").write_text(OWN)
    flags = ["--grid", "0.1,0.01", "--segments", "2", "--steps", "6", "--quiet", "--json"]
    done = lrctl("local", "--workload", "own.py:Own", "--executor", "serial", *flags)
    run = done.document["run"]
    Path("own.py").write_text("raise RuntimeError('ran')")
    assert lrctl("fit-closed-form", run, "--family", "triangle", "--quiet").code == 0
    for more in ((), ("--allow-code",)):
        refused(lrctl("fit-closed-form", run, "--family", "triangle", "--tune", *more, "--quiet"), "a store runs none")
    Path("own.py").write_text(OWN)
    tune = ["fit-closed-form", run, "--family", "triangle", "--tune", *SMALL]
    assert lrctl(*tune, "--workload", "own.py:Own").document["workload"].endswith("own.py:Own")


OWN = """
import torch
class Own:
    def __init__(self, seed): pass
    def model(self): return torch.nn.Linear(1, 1)
    def batch(self, step): return torch.ones(1, 1)
    def loss(self, model, batch): return model(batch).square().mean()
    def evaluate(self, model, split): return {"loss": float(model(torch.ones(1, 1)).square())}
"""


def test_the_python_interface_takes_a_run_s_name(run: str) -> None:
    settings = {"strategy.fit-closed-form.source": run, "strategy.fit-closed-form.family": ["triangle"]}
    document = api.search("fit-closed-form", settings=settings)
    assert (document["steps"], document["fits"][0]["family"]) == (40, "triangle")


# What is trained


def names(found: SearchResult) -> list[str]:
    return sorted(entry.name for entry in found.results)


def test_without_names_the_best_fits_are_tuned(only: Any) -> None:
    only("triangle", "constant", "quadratic", "cosine")
    found, _ = fitted(near(0.1), family=(), tune=True, top=2, baseline=())
    fits = [entry["family"] for entry in found.summary["fits"]]
    assert {name.partition(",")[0] for name in names(found)} == {"found", *fits[:2]}


@pytest.mark.parametrize(
    ("tune", "captions"),
    [(False, ["Closed forms of the schedule"]), (True, ["Closed forms of the schedule", "The best of each schedule"])],
    ids=["fitted", "tuned"],
)
def test_a_person_is_shown_the_fits_and_what_was_trained(tune: bool, captions: list[str]) -> None:
    found, _ = fitted(near(0.1), tune=tune, baseline=())
    assert [table.caption for table in found.tables] == captions
    assert [row[0] for row in found.tables[0].rows] == [entry["family"] for entry in found.summary["fits"]]


def test_named_families_are_all_tuned_beside_the_baselines() -> None:
    found, _ = fitted(near(0.1), tune=True, top=1, baseline=("wsd",))
    assert names(found) == ["constant", "found", "quadratic", "triangle", "wsd"]


def test_a_fit_with_a_shape_of_its_own_is_told_from_the_family() -> None:
    found, _ = fitted(near(0.1), family=("wsd",), tune=True, baseline=("wsd",))
    assert names(found) == ["found", "wsd", "wsd, fitted"]


def test_the_found_schedule_is_trained_as_it_is() -> None:
    found, _ = fitted(near(0.2), tune=True, baseline=())
    assert found.schedule == HUMP
    (entry,) = (entry for entry in found.results if entry.name == "found")
    assert entry.full_runs == 1


def test_the_peak_of_each_fit_is_searched_over_the_grid() -> None:
    found, _ = fitted(near(0.031), family=("triangle",), tune=True, baseline=())
    (entry,) = (entry for entry in found.results if entry.name == "triangle")
    assert entry.schedule.params["peak_lr"] == 0.0333
    assert entry.details["fit_error"] > 0


def test_a_stretched_schedule_has_the_same_shape_and_its_peak_tuned() -> None:
    found, _ = fitted(lambda s: abs(max(s(t) for t in range(101)) - 0.03), steps=100, stretch=100)
    assert [entry.name for entry in found.results] == ["found"]
    assert isinstance(found.schedule, PiecewiseLinear)
    assert found.schedule == with_peak(PiecewiseLinear(((0, 0.0), (45, 0.2), (100, 0.02))), 0.0333)


def test_stretching_from_the_command_line_sets_the_run_s_length(lrctl: Lrctl, run: str) -> None:
    done = lrctl("fit-closed-form", run, "--family", "triangle", "--stretch", "60", *SMALL)
    assert done.document["steps"] == 60
    assert done.document["results"][0]["full_runs"] >= 3


def test_measured_gradient_norms_decide_the_prediction(lrctl: Lrctl, run: str) -> None:
    flags = ["--family", "triangle", "--family", "linear", "--executor", "serial", "--quiet", "--json"]
    free = lrctl("fit-closed-form", run, "--predict", *flags).document
    measured = lrctl("fit-closed-form", run, "--predict", "--gradient-norms", *flags).document
    assert (free["cost"]["jobs"], measured["cost"]["jobs"]) == (0, 1)
    assert [e["bound"] for e in free["fits"]] != [e["bound"] for e in measured["fits"]]
    assert lrctl("fit-closed-form", run, "--predict", "--gradient-norms", *flags).document == measured


def test_the_prediction_ranks_by_the_bound_and_sets_the_peak() -> None:
    found, batches = fitted(predict=True)
    fits = found.summary["fits"]
    assert [e["bound"] for e in fits] == sorted(e["bound"] for e in fits)
    assert fits[0]["params"]["peak_lr"] == peak(found.schedule)
    assert batches == []


def test_each_fit_is_predicted_at_the_peak_that_is_best_for_it_where_the_schedule_is_best_as_it_is() -> None:
    fits = [fit(family, HUMP, STEPS) for family in ("triangle", "constant", "linear")]
    factors = [
        bound([schedule(step) for step in range(STEPS)])[1]
        for schedule in (HUMP, *(each.schedule for each, _ in predicted(fits, HUMP, STEPS, None)))
    ]
    assert factors == pytest.approx([factors[0]] * 4)


def test_a_schedule_predicts_itself_to_be_as_good_as_itself() -> None:
    own = registry().get("schedule", "triangle").target(steps=STEPS, peak_lr=0.3)
    p = FitClosedForm(source=schedule_text(own, STEPS), family=("triangle",), predict=True)
    found, _ = play(fit_closed_form, p, STEPS, lambda _: 1.0)
    (entry,) = found.summary["fits"]
    assert entry["bound"] == pytest.approx(1)
    assert entry["params"]["peak_lr"] == pytest.approx(0.3)


def test_a_fit_of_a_fit_does_not_inherit_what_was_asked_for_then(lrctl: Lrctl, run: str) -> None:
    tuned = lrctl("fit-closed-form", run, "--family", "triangle", "--tune", *SMALL).document["run"]
    stretched = lrctl("fit-closed-form", run, "--family", "triangle", "--stretch", "60", *SMALL).document["run"]
    for name, steps in ((tuned, 40), (stretched, 60)):
        document = lrctl("fit-closed-form", name, "--family", "linear", "--quiet", "--json").document
        assert (document["cost"]["jobs"], document["steps"]) == (0, steps)


def test_a_frozen_recipe_makes_the_same_run_again(lrctl: Lrctl, run: str) -> None:
    first = lrctl("fit-closed-form", run, "--family", "triangle", "--tune", *SMALL).document
    frozen = f".lrctl/runs/{first['run']}/recipe.toml"
    assert lrctl("fit-closed-form", "--recipe", frozen, "--quiet", "--json").document == first


def test_a_dry_run_with_gradient_norms_counts_their_run(lrctl: Lrctl, run: str) -> None:
    flags = ["--family", "triangle", "--gradient-norms", "--dry-run", "--quiet", "--json"]
    document = lrctl("fit-closed-form", run, *flags).document
    assert (document["jobs"], document["steps"]) == (1, 40)


def test_families_that_cannot_come_near_are_not_predicted(lrctl: Lrctl, only: Any) -> None:
    only("triangle", "quadratic", "step", "constant")
    start = PiecewiseLinear(((0, 1.0), (1, 0.0), (40, 0.0)))  # where triangle and quadratic are 0
    Path("start.json").write_text(schedule_text(start, 40))
    done = lrctl("fit-closed-form", "start.json", "--recipe", "smoke", "--predict", "--quiet", "--json")
    families = {entry["family"] for entry in done.document["fits"]}
    assert "step" in families
    assert families & {"triangle", "quadratic"} == set()
    refused(lrctl("fit-closed-form", "start.json", "--family", "triangle", "--predict", "--quiet"), "--predict")


def test_a_schedule_of_another_length_than_its_file_is_stretched_as_a_whole(lrctl: Lrctl) -> None:
    half = registry().get("schedule", "linear").target(steps=20, peak_lr=0.3)
    Path("half.json").write_text(schedule_text(half, 40))
    flags = ["--recipe", "smoke", "--family", "linear", "--stretch", "80", *SMALL]
    document = lrctl("fit-closed-form", "half.json", *flags).document
    schedule = api.load_schedule(document["files"]["schedule"])
    top = max(schedule(step) for step in range(80))
    assert schedule(30) / top == pytest.approx(half(15) / 0.3)


OTHERS = """
from dataclasses import dataclass
from typing import Annotated
from lrctl import hookimpl
from lrctl.contracts.axes import Axis, Lengths

@dataclass(frozen=True)
class Needy:
    steps: int
    peak_lr: float
    must: float
    def __call__(self, step): return self.peak_lr

@dataclass(frozen=True)
class Whole:
    steps: int
    peak_lr: float
    times: Annotated[int, "a whole number without a grid", Axis(1, 5)] = 3
    def __post_init__(self):
        if type(self.times) is not int: raise ValueError("times: must be whole")
    def __call__(self, step): return self.peak_lr / self.times

@dataclass(frozen=True)
class Adaptive:
    steps: int
    peak_lr: float
    def init(self): return None
    def __call__(self, step, state): return self.peak_lr
    def update(self, state, seen): return state

@dataclass(frozen=True)
class InSteps:
    steps: int
    peak_lr: float
    warmup: Annotated[float, "a length", Axis(0, 1, length=True)] = 5.0
    lengths: Lengths = "steps"
    def __call__(self, step):
        length = self.warmup * (self.steps if self.lengths == "fraction" else 1)
        return self.peak_lr * min(1.0, step / length if length else 1.0)

@dataclass(frozen=True)
class Broken:
    steps: int
    peak_lr: float
    def __call__(self, step): raise RuntimeError("broken")

@hookimpl
def register_schedules(register):
    for family in (Needy, Whole, Adaptive, InSteps, Broken):
        register(family, name=family.__name__.lower(), help="a family")
"""


def test_families_of_others_never_break_a_fit(installed: Any, lrctl: Lrctl, only: Any) -> None:
    installed(others=OTHERS)
    only("needy", "whole", "adaptive", "insteps", "broken", "triangle")
    ramp = PiecewiseLinear(((0, 0.0), (10, 0.2), (40, 0.2)))
    Path("ramp.json").write_text(schedule_text(ramp, 40))
    document = lrctl("fit-closed-form", "ramp.json", "--quiet", "--json").document
    fits = {entry["family"]: entry for entry in document["fits"]}
    assert {"whole", "insteps"} <= set(fits)
    assert not {"needy", "adaptive", "broken"} & set(fits)
    assert fits["whole"]["params"]["times"] == 3
    assert fits["insteps"]["error"] == pytest.approx(0, abs=1e-3)
    assert fits["insteps"]["params"] | {"peak_lr": 0.2} == {
        "steps": 40,
        "peak_lr": 0.2,
        "warmup": pytest.approx(0.25, abs=1e-3),
        "lengths": "fraction",
    }
    assert [note for note in document["notes"] if "broken" in note] == [
        "broken could not be fitted: RuntimeError: broken"
    ]
    for family, word in (("needy", "a default"), ("adaptive", "before the run"), ("broken", "RuntimeError")):
        refused(lrctl("fit-closed-form", "ramp.json", "--family", family, "--quiet"), f"--family {family}", word)
    for family in ("needy", "adaptive"):
        refused(lrctl("baseline", "--recipe", "smoke", "--family", family, "--quiet"), f"--family {family}")


# Bad input

BAD = {
    "no such run": (["nothing"], ["unknown run", "semilocal-"]),
    "no such file": (["none.json"], ["none.json", "No such file"]),
    "not a schedule": (["r.json"], ["must be a schedule.json"]),
    "not JSON": (["text.json"], ["must be a schedule.json, but it is not JSON", "line 1"]),
    "no steps": (["steps.json"], ["steps: must be a whole number"]),
    "unknown family in it": (["family.json"], ["unknown schedule 'triangel'", "did you mean 'triangle'"]),
    "bad parameters in it": (["params.json"], ["peak_lr"]),
    "all zero": (["zero.json"], ["0 at every step"]),
    "unknown family": (["RUN", "--family", "cosin"], ["unknown schedule 'cosin'", "did you mean 'cosine'"]),
    "no peak": (["RUN", "--family", "piecewise-linear"], ["cannot be tuned"]),
    "another length": (["RUN", "--steps", "50"], ["40 steps", "50", "--stretch 50"]),
    "top": (["RUN", "--top", "0"], ["top: must be at least 1"]),
    "stretch": (["RUN", "--stretch", "-5"], ["stretch: must be at least 0"]),
    "unknown baseline": (
        ["RUN", "--family", "triangle", "--tune", "--baseline", "wds"],
        ["--baseline: unknown schedule 'wds'"],
    ),
    "one step": (["RUN", "--stretch", "1"], ["source: over 1 steps the schedule is 0 at every step"]),
    "no argument": ([], ["strategy.fit-closed-form.source: missing", "a run's name, or a schedule.json"]),
}


@pytest.mark.parametrize(("arguments", "words"), BAD.values(), ids=BAD)
def test_bad_input_is_one_clear_sentence(arguments: list[str], words: list[str], lrctl: Lrctl, run: str) -> None:
    head = {"format": "lrctl-schedule/1", "steps": 40}
    triangle = {"family": "triangle", "params": {"steps": 40, "peak_lr": 0.1}}
    files: dict[str, Any] = {
        "r.json": {"a": 1},
        "steps.json": head | {"steps": 0, "schedule": triangle},
        "family.json": head | {"schedule": triangle | {"family": "triangel"}},
        "params.json": head | {"schedule": triangle | {"params": {"steps": 40, "peak_lr": -1}}},
        "zero.json": head | {"schedule": triangle | {"params": {"steps": 40, "peak_lr": 0}}},
    }
    for name, content in files.items():
        Path(name).write_text(json.dumps(content))
    Path("text.json").write_text("{")
    done = lrctl("fit-closed-form", *(run if each == "RUN" else each for each in arguments), "--quiet")
    assert (done.code, done.out) == (2, "")
    assert all(word in done.err for word in words), done.err


def test_a_schedule_for_another_length_is_refused() -> None:
    p = FitClosedForm(source=schedule_text(HUMP, STEPS))
    with pytest.raises(UsageError, match="for 40 steps and the run has 50; give --stretch 50"):
        next(fit_closed_form(p, RunSpec(50)))
