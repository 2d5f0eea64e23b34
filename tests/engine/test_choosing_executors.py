from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from lrctl.contracts.job import SegmentJob
from lrctl.engine import executors, run
from lrctl.engine.executors import Executors, resolved, side_by_side, workers_of
from lrctl.engine.prepare import prepare
from lrctl.recipe.schema import Choice
from lrctl.storage.store import Store
from lrctl.testing import Constant
from searches import smoke


@pytest.fixture(autouse=True)
def three_slots(monkeypatch: pytest.MonkeyPatch) -> None:
    """On the CPU, and two GPUs."""
    found = {"cpu": 3, "mps": 1, "cuda": 2, "cuda:1": 1}
    monkeypatch.setattr(
        executors, "slots", lambda device, per_gpu=1: found[device] * (per_gpu if "cuda" in device else 1)
    )


CHOICES: dict[str, tuple[dict[str, int | str], str, int, str]] = {
    "several of both": ({}, "cpu", 3, "processes"),
    "as many as are asked for": ({"workers": 2}, "cpu", 2, "processes"),
    "one worker": ({"workers": 1}, "cpu", 1, "serial"),
    "one slot": ({}, "mps", 1, "serial"),
    "given by name": ({"name": "processes"}, "mps", 1, "processes"),
    "in this process": ({"name": "serial"}, "cpu", 1, "serial"),
    "one for each GPU": ({}, "cuda", 2, "processes"),
    "several on each GPU": ({"per_gpu": 3}, "cuda", 6, "processes"),
    "several on one GPU": ({"per_gpu": 3}, "cuda:1", 3, "processes"),
    "one on one GPU": ({}, "cuda:1", 1, "serial"),
    "several on each GPU, by name": ({"name": "processes", "per_gpu": 3}, "cuda", 6, "processes"),
    "several on no GPU": ({"per_gpu": 3}, "mps", 1, "serial"),
    "as many as are asked for, whatever a GPU would take": ({"workers": 3, "per_gpu": 8}, "cuda", 3, "processes"),
}


@pytest.mark.parametrize(("table", "device", "workers", "name"), CHOICES.values(), ids=CHOICES)
def test_auto_is_worker_processes_where_several_jobs_run_at_once(
    table: dict[str, int | str], device: str, workers: int, name: str
) -> None:
    choice = smoke(**{f"executor__{key}": value for key, value in ({"name": "auto"} | table).items()}).executor
    assert workers_of(choice, device) == workers
    found = resolved(choice, device)
    assert found.name == name
    if choice.name == "auto":
        assert getattr(found.params, "workers", 1) == workers


@pytest.mark.parametrize(
    ("table", "device", "jobs"),
    [
        ({"name": "auto"}, "cuda", 1),
        ({"name": "auto", "per_gpu": 4}, "cuda", 4),
        ({"name": "processes", "per_gpu": 4}, "cuda:1", 4),
        ({"name": "processes", "workers": 3}, "cuda", 2),
        ({"name": "serial"}, "cuda", 1),
        ({"name": "processes", "per_gpu": 4, "workers": 3}, "cpu", 1),
        ({"name": "ray", "workers": 8}, "cuda", 1),
    ],
    ids=["auto", "four each", "four on one", "three on two", "in this process", "no GPU", "on a cluster"],
)
def test_it_is_known_how_many_jobs_share_a_gpu(table: dict[str, int | str], device: str, jobs: int) -> None:
    choice = smoke(**{f"executor__{key}": value for key, value in table.items()}).executor
    assert side_by_side(choice, device) == jobs


def test_how_many_jobs_share_a_gpu_is_part_of_no_key(tmp_path: Path) -> None:
    plain, shared = (smoke(executor__name="processes", executor__per_gpu=n) for n in (1, 4))
    job = SegmentJob(0, 1, Constant(0.1))
    assert job.key(prepare(plain)) == job.key(prepare(shared))
    names = {run.Run(Store(tmp_path), "local", each, None).identity(trains=True).name for each in (plain, shared)}
    assert len(names) == 1


def test_an_executor_that_says_nothing_of_workers_is_taken_to_use_every_slot(installed: Callable[..., None]) -> None:
    installed(
        cluster="from dataclasses import make_dataclass\nfrom lrctl import hookimpl\n@hookimpl\n"
        "def register_executors(register):\n"
        "    register(print, name='cluster', params=make_dataclass('Params', []), help='somewhere else')"
    )
    assert workers_of(Choice("cluster", {}), "cpu") == 3


def test_searches_share_an_executor_where_store_device_and_parameters_are_the_same(tmp_path: Path) -> None:
    one, two = (smoke(executor__name="processes", executor__workers=n).executor for n in (1, 2))
    here, there = Store(tmp_path / "here"), Store(tmp_path / "there")
    with closing(Executors()) as kept:
        first = kept.get(one, here, "cpu")
        assert kept.get(replace(one), Store(here.path), "cpu") is first
        others = [kept.get(two, here, "cpu"), kept.get(one, there, "cpu"), kept.get(one, here, "mps")]
        assert len({id(executor) for executor in [first, *others]}) == 4


@pytest.mark.parametrize(
    ("table", "seconds", "name"),
    [
        ({}, 5.9, "serial"),  # three workers would save 3.93 s, and take 4 s to start
        ({}, 6.1, "processes"),
        ({"workers": 2}, 0.0, "processes"),
        ({"workers": 1}, 1e9, "serial"),
        ({"name": "processes"}, 0.0, "processes"),
    ],
)
def test_auto_starts_workers_where_they_save_more_than_they_take_to_start(
    table: dict[str, int | str], seconds: float, name: str, tmp_path: Path
) -> None:
    choice = smoke(**{f"executor__{key}": value for key, value in ({"name": "auto"} | table).items()}).executor
    assert resolved(choice, "cpu", lambda: seconds).name == name
    with closing(Executors()) as kept:
        assert type(kept.get(choice, Store(tmp_path), "cpu", lambda: seconds)).__name__.lower() == name


def test_auto_takes_workers_that_are_there_from_another_search(tmp_path: Path) -> None:
    choice, store = smoke(executor__name="auto").executor, Store(tmp_path)
    with closing(Executors()) as kept:
        workers = kept.get(choice, store, "cpu", lambda: 100.0)
        assert kept.get(choice, store, "cpu", lambda: pytest.fail("nothing to decide")) is workers
