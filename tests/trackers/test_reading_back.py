"""What the built-in trackers write is read back by the libraries themselves. One that is not installed is left out."""

from __future__ import annotations

import json
import re
import struct
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from command_line import Lrctl
from lrctl.contracts.tracker import TrackedSearch
from lrctl.registry.registry import registry
from lrctl.testing import check_tracker
from lrctl_trackers import recording
from lrctl_trackers.tensorboard import MOST, TensorBoard, TensorBoardParams

SEARCH = ["local", "--recipe", "smoke", "--executor", "serial", "--grid", "0.1", "--grid-size", "1"]
SEARCH += ["--segments", "2", "--no-reference"]


def prepare(name: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have a tracker keep its own in a folder, if it is installed."""
    if find_spec(name) is None:
        pytest.skip(f"needs {name}: pip install 'lrctl[{name}]'")
    monkeypatch.setenv("TRACKIO_DIR", str(folder / "trackio"))
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)


@pytest.fixture
def recorded(request: pytest.FixtureRequest, lrctl: Lrctl, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """The document of a search that the named tracker has recorded."""
    name = request.param
    prepare(name, Path.cwd(), monkeypatch)
    done = lrctl(*SEARCH, "--json", "--quiet", "--track", name)
    assert (done.code, done.err) == (0, "")
    found: dict[str, Any] = done.document
    return found


def by(name: str) -> pytest.MarkDecorator:
    """Run a test on what a tracker has recorded."""
    return pytest.mark.parametrize("recorded", [name], indirect=True)


def candidates(document: dict[str, Any]) -> list[dict[str, Any]]:
    return [each for segment in document["segments"] for each in segment["candidates"]]


def final(document: dict[str, Any]) -> dict[str, float]:
    """The values that every tracker has of a search as a whole."""
    cost = {f"cost/{name}": value for name, value in document["cost"].items()}
    return {name: document[name] for name in ("train_loss", "validation_loss", "test_loss")} | cost


def events(folder: Path) -> Any:
    """What TensorBoard reads of each folder that it lists as a run, by the path in a folder."""
    from tensorboard.backend.event_processing.event_multiplexer import EventMultiplexer

    return EventMultiplexer(size_guidance={"images": 0, "scalars": 0}).AddRunsFromDirectory(str(folder)).Reload()


@by("tensorboard")
def test_tensorboard_reads_the_search_and_its_jobs(recorded: dict[str, Any]) -> None:
    read = events(Path(".lrctl/tracked/tensorboard"))
    search = read.GetAccumulator(recorded["run"])
    assert [each.step for each in search.Scalars("loss")] == [*range(40)]
    assert [each.step for each in search.Scalars("choice/lr")] == [20, 40]
    for name, value in final(recorded).items():
        assert search.Scalars(name)[0].value == pytest.approx(value), name
    (image,) = search.Images("figure")
    assert image.encoded_image_string.startswith(b"\x89PNG")
    assert (image.width, image.height) == struct.unpack(">II", image.encoded_image_string[16:24])
    assert {"config/text_summary", "result/text_summary"} <= {*search.Tags()["tensors"]}


@by("tensorboard")
def test_tensorboard_draws_the_jobs_of_a_segment_over_each_other(recorded: dict[str, Any]) -> None:
    read = events(Path(".lrctl/tracked/tensorboard"))
    jobs = {name: tags["scalars"] for name, tags in read.Runs().items() if name != recorded["run"]}
    longest = max(len(segment["candidates"]) for segment in recorded["segments"])
    assert sorted(jobs) == [f"{recorded['run']}/jobs/{n:02}" for n in range(1, longest + 1)]
    for k, segment in enumerate(recorded["segments"], 1):
        (tag,) = {tag for tags in jobs.values() for tag in tags if re.fullmatch(f"segment {k} of 2, .*/mean_loss", tag)}
        found = [read.Scalars(name, tag)[0].value for name, tags in jobs.items() if tag in tags]
        expected = [each["mean_loss"] for each in segment["candidates"] if each["mean_loss"]]
        assert sorted(found) == pytest.approx(sorted(expected))


def test_tensorboard_lists_no_more_runs_than_can_be_looked_at(tmp_path: Path) -> None:
    pytest.importorskip("tensorboard")
    library = TensorBoard(TensorBoardParams(folder=str(tmp_path)))
    page = library.search(TrackedSearch("r", "shape", tmp_path, tmp_path, {}), {})
    for n in range(MOST + 3):
        job = library.job(f"0-2-{n}", {"title": "train/test"})
        job.log([(0, {"loss": 3.0}), (1, {"loss": 2.0}), (2, {"mean_loss": float(n)})])
        job.close()
    page.close()
    read = events(tmp_path)
    assert sorted(read.Runs()) == ["r", *(f"r/jobs/{n:02}" for n in range(1, MOST + 1)), f"r/jobs/from {MOST + 1}"]
    assert [each.step for each in read.Scalars("r/jobs/01", "train test/loss")] == [0, 1]
    last = read.Scalars(f"r/jobs/from {MOST + 1}", "train test/mean_loss")
    assert [(each.step, each.value) for each in last] == [(MOST + n + 1, MOST + n) for n in range(3)]
    assert "train test/loss" not in read.Runs()[f"r/jobs/from {MOST + 1}"]["scalars"]


@by("tensorboard")
def test_a_search_that_is_recorded_again_is_there_once(recorded: dict[str, Any], lrctl: Lrctl) -> None:
    again = lrctl(*SEARCH, "--json", "--quiet", "--track", "tensorboard", "--fresh").document
    assert again["run"] == recorded["run"]
    folder = Path(".lrctl/tracked/tensorboard", recorded["run"])
    assert len([*folder.glob("events*")]) == 1
    assert {len([*job.iterdir()]) for job in (folder / "jobs").iterdir()} == {1}


@by("mlflow")
def test_mlflow_reads_the_search_and_its_jobs(recorded: dict[str, Any]) -> None:
    from mlflow.tracking import MlflowClient

    client = MlflowClient(f"sqlite:///{Path('.lrctl/tracked/mlflow/mlflow.db').absolute()}")
    experiment = client.get_experiment_by_name("lrctl").experiment_id
    runs = client.search_runs([experiment])
    (search,) = (run for run in runs if "mlflow.parentRunId" not in run.data.tags)
    jobs = [run for run in runs if run is not search]
    assert search.info.run_name == recorded["run"]
    assert search.info.status == "FINISHED"
    assert search.data.params["training.steps"] == "40"
    assert {name: search.data.metrics[name] for name in final(recorded)} == final(recorded)
    assert [each.step for each in client.get_metric_history(search.info.run_id, "loss")] == [*range(40)]
    files = {each.path for each in client.list_artifacts(search.info.run_id)}
    assert files == {"result.json", "schedule.json", "figure.png"}
    assert {run.data.tags["mlflow.parentRunId"] for run in jobs} == {search.info.run_id}
    assert {run.data.params["key"] for run in jobs} == {each["key"] for each in candidates(recorded)}


def offline_records(path: Path) -> Iterator[Any]:
    """The records of a file of wandb's: a log of LevelDB's form, whose blocks hold whole or parted messages."""
    from wandb.proto.wandb_internal_pb2 import Record

    data, at, parts = path.read_bytes(), 7, b""
    while at + 7 <= len(data):
        if (room := 32768 - at % 32768) < 7:
            at += room
            continue
        length, kind = struct.unpack_from("<HB", data, at + 4)
        parts += data[at + 7 : at + 7 + length]
        at += 7 + length
        if kind in (1, 4):  # whole, or the last part
            yield Record.FromString(parts)
            parts = b""


@by("wandb")
def test_wandb_reads_the_search_and_its_jobs(recorded: dict[str, Any]) -> None:
    files = [*Path(".lrctl/tracked/wandb/wandb").glob("offline-run-*/*.wandb")]
    records = [[*offline_records(file)] for file in files]
    runs = [next(each.run for each in some if each.WhichOneof("record_type") == "run") for some in records]
    assert {run.run_group for run in runs} == {recorded["run"]}
    assert sorted(run.job_type for run in runs) == ["job", "job", "job", "search"]
    (search,) = (some for run, some in zip(runs, records, strict=True) if run.job_type == "search")
    rows = [
        {item.key or item.nested_key[0]: json.loads(item.value_json) for item in each.history.item}
        for each in search
        if each.WhichOneof("record_type") == "history"
    ]
    assert [row["step"] for row in rows if "loss" in row] == [*range(40)]
    assert final(recorded).items() <= rows[-2].items()  # the last has the figure
    (config,) = (json.loads(item.value_json) for item in search[1].run.config.update if item.key == "training.steps")
    assert config == 40


@by("trackio")
def test_trackio_reads_the_search_and_its_jobs(recorded: dict[str, Any]) -> None:
    from trackio import SQLiteStorage

    rows = SQLiteStorage.get_logs("lrctl", recorded["run"])
    assert [row["step"] for row in rows if "loss" in row] == [*range(40)]
    (last,) = (row for row in rows if "test_loss" in row)
    assert {name: last[name] for name in final(recorded)} == final(recorded)
    assert [row["figure"]["_type"] for row in rows if "figure" in row] == ["trackio.image"]
    assert SQLiteStorage.get_run_config("lrctl", recorded["run"])["training.steps"] == 40
    jobs = [name for name in SQLiteStorage.get_runs("lrctl") if name != recorded["run"]]
    assert len(jobs) == len(candidates(recorded))


@pytest.mark.filterwarnings("ignore")  # of theirs, as while a search is recorded
@pytest.mark.parametrize("name", registry().names("tracker"))
def test_a_built_in_tracker_keeps_its_contract(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    prepare(name, tmp_path, monkeypatch)
    part = registry().get("tracker", name)
    check_tracker(lambda: part.target(part.params()), tmp_path)


def test_every_tracker_says_how_to_get_what_it_needs(lrctl: Lrctl, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recording, "find_spec", lambda _: None)
    for name in registry().names("tracker"):
        done = lrctl(*SEARCH, "--quiet", "--track", name)
        assert done.code == 2
        assert done.error == (
            f"error: --track {name}: the package {name} is not installed; install it with pip install 'lrctl[{name}]', "
            f"or leave --track {name} out"
        )


def test_naming_a_tracker_imports_none_of_their_libraries(lrctl: Lrctl) -> None:
    before = {*sys.modules}
    lrctl("list")
    assert not {"tensorboard", "wandb", "mlflow", "trackio"} & ({*sys.modules} - before)


def test_a_long_curve_is_told_by_means() -> None:
    points = list(recording.curve(0, [float(step) for step in range(2500)], [0.1] * 2500))
    assert len(points) == 834
    assert points[0] == (2, {"loss": 1.0, "lr": 0.1})
    assert points[-1][0] == 2499
    assert list(recording.curve(5, (), ())) == []
