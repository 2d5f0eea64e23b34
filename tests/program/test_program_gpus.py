"""The GPUs of a program's jobs, on made-up devices, and the files that it depends on."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest

from command_line import Lrctl
from lrctl.contracts.executor import gpus_for, slots
from lrctl.contracts.job import SegmentJob
from lrctl.engine.prepare import prepare
from lrctl.engine.worker import attempt, work
from lrctl.errors import UsageError
from lrctl.registry.registry import registry
from lrctl.storage.store import Store
from lrctl.testing import Constant
from programs import command, recipe, write

SEES = (
    'with open(job["result"]',
    'open(f"seen-{job[\'seed\']}", "w").write(os.environ["CUDA_VISIBLE_DEVICES"])\nwith open(job["result"]',
)


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory of the test's own, on a machine with five GPUs."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,1,GPU-2,3,7")
    return tmp_path


@pytest.mark.parametrize(
    ("device", "jobs", "given"),
    [
        pytest.param("own", 1, [None, None], id="shared"),
        pytest.param("own:2", 2, [["0", "1"], ["GPU-2", "3"], ["0", "1"]], id="two each"),
        pytest.param("own:5", 1, [["0", "1", "GPU-2", "3", "7"]] * 2, id="all"),
    ],
)
def test_workers_have_slices_of_the_gpus_in_turn(device: str, jobs: int, given: list[list[str] | None]) -> None:
    assert slots(device) == jobs
    assert [gpus_for(device, worker) for worker in range(len(given))] == given


def test_a_job_sees_its_gpus_alone(folder: Path) -> None:
    spec = prepare(recipe(command(write(folder, "valley.py", SEES)), training__steps=20, workload__gpus=2))
    work(Store("store"), spec, SegmentJob(0, 2, Constant(0.1)))
    assert Path("seen-0").read_text() == "0,1"


def test_two_jobs_at_a_time_have_gpus_of_their_own(folder: Path) -> None:
    sees = (SEES[0], SEES[1].replace("job['seed']", "job['start']"))
    spec = prepare(recipe(command(write(folder, "valley.py", sees)), training__steps=20, workload__gpus=2))
    part = registry().get("executor", "processes")
    executor = part.target(part.params(), partial(attempt, Store("store").path))
    jobs = [SegmentJob(start, 4, Constant(0.1)) for start in (0, 1)]
    assert [each.status for each in executor.run(spec, jobs)] == ["ok", "ok"]
    executor.close()
    assert {Path(f"seen-{start}").read_text() for start in (0, 1)} == {"0,1", "GPU-2,3"}


def test_how_many_gpus_a_job_has_decides_no_number(folder: Path) -> None:
    program, job = command(write(folder, "valley.py")), SegmentJob(0, 2, Constant(0.1))
    keys = {job.key(prepare(recipe(program, workload__gpus=gpus))) for gpus in (0, 1, 2)}
    assert len(keys) == 1


def test_more_gpus_than_there_are_is_one_sentence(folder: Path) -> None:
    with pytest.raises(UsageError, match=r"workload\.gpus: must be at most the 5 GPUs that lrctl sees, got 6"):
        prepare(recipe(command(write(folder, "valley.py")), workload__gpus=6))


def test_the_content_of_what_a_program_depends_on_decides_its_jobs(folder: Path, lrctl: Lrctl) -> None:
    program = command(write(folder, "valley.py"))
    flags = ("local", "--recipe", "smoke", "--steps", 8, "--segments", 2, "--grid-size", 1, "--executor", "serial")
    (folder / "data").mkdir()
    runs = []
    for model, data in (("a", "a"), ("b", "a"), ("b", "b"), ("b", "b")):
        Path("model.py").write_text(model)
        Path("data/train.txt").write_text(data)
        done = lrctl(*flags, "--program", program, "--depends", "model.py", "--depends", "data", "--json")
        runs.append(done.document["run"])
    assert len(set(runs)) == 3
    assert runs[2] == runs[3]
    assert "there is no file or folder none.py" in lrctl(*flags, "--program", program, "--depends", "none.py").error
