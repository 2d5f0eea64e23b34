from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch

from lrctl.engine import run
from lrctl.engine.executors import Executors
from lrctl.errors import UsageError
from lrctl.planning import estimate as estimates
from lrctl.planning.estimate import check_memory
from lrctl.planning.sharing import CONTEXT, free_bytes, shortage
from lrctl.recipe.schema import Recipe
from searches import smoke

GB = 1_000_000_000
JOB = 10 * GB - CONTEXT


def sharing(**settings: int) -> Recipe:
    return smoke(executor__name="processes", **{f"executor__{name}": value for name, value in settings.items()})


@pytest.fixture
def card(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two GPUs with 60 and 45 GB free."""
    free = {0: 60 * GB, 1: 45 * GB, "cuda:0": 60 * GB}
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (free[device], 80 * GB))


SHORT: dict[str, tuple[dict[str, int], str, int, str]] = {
    "they fit": ({"per_gpu": 4}, "cuda", JOB, ""),
    "one of them is never looked at": ({}, "cuda", 100 * GB, ""),
    "a GPU with more": ({"per_gpu": 6}, "cuda:0", JOB, ""),
    "too many": (
        {"per_gpu": 6},
        "cuda",
        JOB,
        (
            "executor.per_gpu: 6 jobs side by side on a GPU need about 60.0 GB, 10.0 GB each, and 45.0 GB are free; "
            "set executor.per_gpu=4, or raise training.micro_batches"
        ),
    ),
    "too many workers": (
        {"workers": 11},
        "cuda",
        JOB,
        (
            "executor.workers: 6 jobs side by side on a GPU need about 60.0 GB, 10.0 GB each, and 45.0 GB are free; "
            "set executor.workers=8, or raise training.micro_batches"
        ),
    ),
    "not one": (
        {"per_gpu": 2},
        "cuda",
        JOB + 40 * GB,
        (
            "executor.per_gpu: 2 jobs side by side on a GPU need about 100.0 GB, 50.0 GB each, and 45.0 GB are free; "
            "not one of them fits: raise training.micro_batches"
        ),
    ),
    "no GPU": ({"per_gpu": 6, "workers": 6}, "cpu", 100 * GB, ""),
}


@pytest.mark.usefixtures("card")
@pytest.mark.parametrize(("settings", "device", "job_bytes", "told"), SHORT.values(), ids=SHORT)
def test_what_does_not_fit_side_by_side_is_told_with_what_would(
    settings: dict[str, int], device: str, job_bytes: int, told: str
) -> None:
    assert shortage(sharing(**settings).executor, device, job_bytes) == told


@pytest.mark.usefixtures("card")
def test_what_was_measured_with_is_given_back_first(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[str] = []
    monkeypatch.setattr(torch.cuda, "empty_cache", lambda: seen.append("emptied"))
    assert free_bytes("cuda") == 45 * GB
    assert seen == ["emptied"]


@pytest.fixture
def on_the_card(card: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Searches are taken to run on the GPUs, and a job to need as much as is free on one of them."""
    del card
    monkeypatch.setattr(estimates, "device_of", lambda _: "cuda")
    monkeypatch.setattr(estimates, "estimate", lambda *_, **__: {"memory_bytes": 45 * GB - CONTEXT})


@pytest.mark.usefixtures("on_the_card")
def test_a_search_that_does_not_fit_is_refused_before_it_starts(tmp_path: Path) -> None:
    store = tmp_path / "store"
    with pytest.raises(UsageError, match=r"2 jobs side by side .* set executor\.per_gpu=1"):
        run.search("local", sharing(per_gpu=2), store=store, check=partial(check_memory, store=store))
    assert not list((store / "jobs").glob("*.json"))


@pytest.mark.usefixtures("on_the_card")
def test_workers_of_an_earlier_search_do_not_count(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    closed: list[bool] = []
    monkeypatch.setattr(Executors, "close", lambda _: closed.append(True))
    monkeypatch.setattr(estimates, "shortage", lambda *_: "")
    check_memory("local", sharing(per_gpu=1), store=tmp_path, kept=Executors())
    assert closed == []
    check_memory("local", sharing(per_gpu=2), store=tmp_path, kept=Executors())
    assert closed == [True]


def test_a_finished_search_is_not_checked(tmp_path: Path) -> None:
    asked: list[Any] = []
    for _ in range(2):
        run.search("local", smoke(), store=tmp_path, check=lambda *given: asked.append(given))
    assert [command for command, _ in asked] == ["local"]


def test_a_dry_run_tells_what_does_not_fit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(estimates, "shortage", lambda *_: "they do not fit")
    assert estimates.estimate("local", smoke(), store=tmp_path)["notes"] == ["they do not fit"]
