"""A tracker replaces what it wrote of the same search, and nothing else, wherever a link leads."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from command_line import Lrctl
from lrctl.contracts.tracker import TrackedSearch
from lrctl.errors import StoreError
from lrctl.registry.registry import registry
from lrctl.storage.store import Store
from lrctl_trackers.mlflow import MLflow, MLflowParams, Run
from lrctl_trackers.recording import Recorder, mark
from lrctl_trackers.tensorboard import TensorBoard, TensorBoardParams
from lrctl_trackers.trackio import Trackio, TrackioParams
from lrctl_trackers.wandb import Wandb, WandbParams

EVENTS = "events.out.tfevents.mine"
SEARCH = ["local", "--recipe", "smoke", "--executor", "serial", "--grid", "0.1", "--grid-size", "1"]
SEARCH += ["--segments", "2", "--no-reference", "--quiet"]


def made_up(store: Path, run: str = "r") -> TrackedSearch:
    return TrackedSearch(run, "local", store, store / "tracked" / "tensorboard", {})


def begin(library: Any, search: TrackedSearch) -> None:
    tracker = Recorder(library)
    tracker.search_started(search)
    tracker.close()


@pytest.fixture
def mine(tmp_path: Path) -> Path:
    """A folder of the user's with an event file."""
    folder = tmp_path / "mine" / "r"
    folder.mkdir(parents=True)
    (folder / EVENTS).write_text("precious")
    return folder


def the_run(folder: Path, mine: Path) -> None:
    folder.parent.mkdir(parents=True)
    folder.symlink_to(mine)


def its_jobs(folder: Path, mine: Path) -> None:
    folder.mkdir(parents=True)
    (folder / "jobs").symlink_to(mine)


def a_job(folder: Path, mine: Path) -> None:
    (folder / "jobs").mkdir(parents=True)
    (folder / "jobs" / "0-2-aaaaaaaa").symlink_to(mine)


@pytest.mark.parametrize("link", [the_run, its_jobs, a_job], ids=lambda link: link.__name__)
def test_tensorboard_follows_no_link(link: Callable[[Path, Path], None], mine: Path, tmp_path: Path) -> None:
    link(tmp_path / "store" / "tracked" / "tensorboard" / "r", mine)
    with pytest.raises(StoreError, match="is a link, and a tracker follows none"):
        begin(TensorBoard(TensorBoardParams()), made_up(tmp_path / "store"))
    assert [path.name for path in mine.iterdir()] == [EVENTS]


def test_tensorboard_deletes_no_event_files_that_others_wrote(mine: Path, tmp_path: Path) -> None:
    library = TensorBoard(TensorBoardParams(folder=str(mine.parent)))
    with pytest.raises(StoreError, match="holds event files that this tracker did not write for run r of"):
        begin(library, made_up(tmp_path / "store"))
    assert (mine / EVENTS).read_text() == "precious"


def test_tensorboard_replaces_what_it_wrote_of_the_same_run(tmp_path: Path) -> None:
    pytest.importorskip("tensorboard")
    given = TensorBoard(TensorBoardParams(folder=str(tmp_path / "given")))
    for _ in range(2):
        begin(given, made_up(tmp_path / "store"))
        begin(TensorBoard(TensorBoardParams()), made_up(tmp_path / "store"))
    (tmp_path / "store").rename(tmp_path / "moved")
    begin(TensorBoard(TensorBoardParams()), made_up(tmp_path / "moved"))
    for folder in (tmp_path / "given", tmp_path / "moved" / "tracked" / "tensorboard"):
        assert len([*folder.rglob("events*")]) == 1
    with pytest.raises(StoreError, match=r"did not write for run r of .*other"):
        begin(given, made_up(tmp_path / "other"))


@pytest.mark.parametrize("name", registry().names("tracker"))
def test_a_search_does_not_begin_where_the_folder_of_a_tracker_is_a_link(
    name: str, lrctl: Lrctl, mine: Path, tmp_path: Path
) -> None:
    tracked = Store(tmp_path / ".lrctl").path / "tracked"
    tracked.mkdir()
    (tracked / name).symlink_to(mine.parent)
    done = lrctl(*SEARCH, "--track", name)
    assert (done.code, done.out) == (1, "")
    assert f"tracked/{name} in it is a link, and no link is followed out of a store" in done.error


LINKED = {"mlflow.db": MLflow(MLflowParams()), "artifacts": MLflow(MLflowParams()), "wandb": Wandb(WandbParams())}


@pytest.mark.parametrize(("name", "library"), LINKED.items(), ids=LINKED)
def test_other_trackers_write_through_no_link_in_their_folder(
    name: str, library: Any, mine: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    search = made_up(tmp_path / "store")
    search.folder.mkdir(parents=True)
    (search.folder / name).symlink_to(mine)
    with pytest.raises(StoreError, match=f"{name} is a link, and a tracker follows none"):
        begin(library, search)


def test_trackio_replaces_runs_of_the_same_search_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    runs: dict[str, dict[str, Any]] = {"mine": {"lr": 0.1}, "r": {"lrctl.search": mark(made_up(tmp_path))}}
    storage = SimpleNamespace(
        get_runs=lambda _: [*runs],
        get_run_config=lambda _, name: runs[name],
        delete_run=lambda _, name: runs.pop(name),
    )
    monkeypatch.setitem(sys.modules, "trackio", SimpleNamespace(SQLiteStorage=storage))
    with pytest.raises(StoreError, match="project lrctl of Trackio has a run mine that is not of this search"):
        begin(Trackio(TrackioParams()), made_up(tmp_path, "mine"))
    begin(Trackio(TrackioParams()), made_up(tmp_path, "r"))
    assert [*runs] == ["mine"]


def entities(monkeypatch: pytest.MonkeyPatch) -> None:
    """Stands for what of MLflow makes metrics and parameters."""
    made = SimpleNamespace(Metric=lambda *told: told, Param=lambda *told: told)
    monkeypatch.setitem(sys.modules, "mlflow", SimpleNamespace(entities=made))
    monkeypatch.setitem(sys.modules, "mlflow.entities", made)


def test_mlflow_replaces_all_runs_of_the_same_search_however_many(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    entities(monkeypatch)
    old = [SimpleNamespace(info=SimpleNamespace(run_id=number)) for number in range(2500)]
    client = SimpleNamespace(
        search_runs=lambda *_: old[:1000],  # as many as MLflow tells at a time
        delete_run=lambda number: old.remove(next(run for run in old if run.info.run_id == number)),
        create_run=lambda *_, **__: SimpleNamespace(info=SimpleNamespace(run_id="new")),
        log_batch=lambda *_, **__: None,
        set_terminated=lambda _: None,
    )
    monkeypatch.setattr(MLflow, "connect", lambda self, _: setattr(self, "client", client))
    begin(MLflow(MLflowParams()), made_up(tmp_path))
    assert old == []


def test_mlflow_is_told_metrics_of_any_name(monkeypatch: pytest.MonkeyPatch) -> None:
    entities(monkeypatch)
    told: list[Any] = []
    client = SimpleNamespace(log_batch=lambda _, metrics: told.extend(metrics))
    Run(client, "r").log([(7, {"loss": 1.0, "test/top@5 (%)": 2.0})])
    assert [(name, value, step) for name, value, _, step in told] == [("loss", 1.0, 7), ("test/top_5 ___", 2.0, 7)]
