from __future__ import annotations

import os
import pty
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from threading import Thread

import pytest
from rich.console import Console

from command_line import Lrctl
from comparisons import a_result
from lrctl.contracts.job import SegmentJob
from lrctl.contracts.optimizers import SGD, AdamW
from lrctl.contracts.piecewise import PiecewiseLinear
from lrctl.contracts.result import JobResult
from lrctl.contracts.schedule import Observation
from lrctl.contracts.strategy import Batch, Candidate, RunSpec, Segment
from lrctl.registry.registry import registry
from lrctl.report import job_words, progress
from lrctl.testing import Constant
from lrctl_schedules.greedy import Greedy
from lrctl_schedules.linear import Linear

SMOKE = ("semilocal", "--recipe", "smoke", "--executor", "serial", "--grid", "0.1,0.01", "--grid-size", "1")
COLOUR = re.compile(r"\x1b\[[0-9;]*\b(3[0-7]|9[0-7]|38;[0-9;]+)m")

SLOW = """
import time
from lrctl import hookimpl

@hookimpl
def job_started(job):
    time.sleep(0.6)  # a frame is drawn every 0.5 s

@hookimpl
def job_finished(job, result):
    time.sleep(0.6)
"""


@contextmanager
def terminal(drawn: list[str]) -> Iterator[None]:
    """Makes stderr a pseudo-terminal for the block; `drawn` then holds what was drawn on it."""
    ours, theirs = pty.openpty()
    pieces: list[bytes] = []

    def read() -> None:
        with suppress(OSError):  # raised once the other end is closed
            while piece := os.read(ours, 65536):
                pieces.append(piece)

    reader = Thread(target=read)
    reader.start()
    before = sys.stderr
    with os.fdopen(theirs, "w", encoding="utf-8") as sys.stderr:
        try:
            yield
        finally:
            sys.stderr = before
    reader.join()
    os.close(ours)
    drawn.append(b"".join(pieces).decode())


def drawn_by(lrctl: Lrctl, *arguments: str) -> str:
    """What a command draws on a terminal."""
    drawn: list[str] = []
    with terminal(drawn):
        assert lrctl(*arguments).code == 0
    return drawn[0]


@pytest.fixture(autouse=True)
def colours(monkeypatch: pytest.MonkeyPatch) -> None:
    """A terminal that shows colours, and nobody who asks for more or less."""
    monkeypatch.setenv("TERM", "xterm-256color")
    for name in ("NO_COLOR", "FORCE_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE"):
        monkeypatch.delenv(name, raising=False)


def final_lines(drawn: str) -> list[str]:
    """What is left on a screen that understands carriage returns, cursor up and erase line."""
    lines, row = [""], 0
    for piece in re.findall(r"\x1b\[[0-9;?]*[a-zA-Z]|\r|\n|[^\x1b\r\n]+", drawn):
        if piece == "\n":
            row += 1
            lines += [""] * (row + 1 - len(lines))
        elif piece == "\x1b[1A":
            row -= 1
        elif piece == "\x1b[2K":
            lines[row] = ""
        elif piece != "\r" and not piece.startswith("\x1b"):
            lines[row] += piece
    return [line.rstrip() for line in lines if line.strip()]


def test_without_a_terminal_there_is_a_plain_line_per_segment(lrctl: Lrctl) -> None:
    done = lrctl(*SMOKE)
    lines = done.err.splitlines()
    assert [line.split(",")[0] for line in lines if not line.startswith("note: ")] == [
        "segment 1: steps 0-10",
        "segment 2: steps 10-20",
        "segment 3: steps 20-30",
        "segment 4: steps 30-40",
        "for comparison",
    ]
    assert "\x1b" not in done.err


def test_a_line_tells_the_choice_its_loss_and_eps_with_its_unit(lrctl: Lrctl) -> None:
    done = lrctl(*SMOKE)
    for line in done.err.splitlines()[:4]:
        assert re.fullmatch(
            r"segment \d: steps \d+-\d+, LR \S+ -> \S+, mean loss \d\.\d{4}, eps \S+ nats(, margin \S+)?", line
        )


def test_on_a_terminal_a_live_table_shows_the_candidates_and_leaves_the_decisions(
    lrctl: Lrctl, installed: Callable[..., None]
) -> None:
    installed(slow=SLOW)
    drawn = drawn_by(lrctl, *SMOKE, "--segments", "2", "--grid", "0.1,0.01,0.001", "--set", "training.stop_early=false")
    text = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", drawn)
    assert "segment 1 of 2" in text
    assert re.search(r"LR at its end\s+mean loss\s+status", text)
    assert re.search(r"\n0\.01\s+\d\.\d{4}\s+ok", text)
    assert re.search(r"\n0\.001\s+waiting", text)
    assert re.search(r"\n0\.001\s+running", text)
    assert re.search(r"\d+ jobs \(0 reused\), \d+ steps = \d\.\d full runs", text)
    left = final_lines(drawn)
    assert [line.split(":")[0] for line in left if line.startswith("segment")] == ["segment 1", "segment 2"]
    assert COLOUR.search(drawn)


def test_no_color_is_obeyed(lrctl: Lrctl, installed: Callable[..., None], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    installed(slow=SLOW)
    drawn = drawn_by(lrctl, *SMOKE, "--segments", "2", "--grid", "0.1,0.01,0.001")
    assert "segment 1 of 2" in drawn
    assert not COLOUR.search(drawn)


def test_a_quiet_search_draws_nothing_on_a_terminal(lrctl: Lrctl) -> None:
    assert drawn_by(lrctl, *SMOKE, "--quiet") == ""


def test_the_observer_is_gone_after_a_search_that_failed(lrctl: Lrctl) -> None:
    assert lrctl(*SMOKE, "--grid", "1e30").code == 3
    assert not registry().manager.has_plugin("progress")


def test_notes_are_shown_last_and_as_they_are(capsys: pytest.CaptureFixture[str]) -> None:
    with progress.shown():
        registry().manager.hook.search_finished(result=a_result(notes=("LR [0.1] fell", "[/b]")))
    assert capsys.readouterr().err == "note: LR [0.1] fell\nnote: [/b]\n"


class Adaptive:
    def init(self) -> int:
        return 0

    def __call__(self, _step: int, _state: int) -> float:
        return 0.1

    def update(self, state: int, _seen: Observation) -> int:
        return state


def test_a_short_run_is_called_by_its_highest_lr() -> None:
    job = SegmentJob(0, 10, PiecewiseLinear(((0, 0.0), (4, 0.5), (10, 0.0))))
    assert (job_words.label(job), job_words.label(job, judged=False)) == ("0", "0.5")


@pytest.mark.parametrize(
    ("job", "text"),
    [
        (SegmentJob(0, 10, PiecewiseLinear(((0, 0.0), (10, 0.125)))), "0.125"),
        (SegmentJob(0, 10, PiecewiseLinear(((0, 0.0),))), "frozen"),
        (SegmentJob(0, 10, Adaptive()), "Adaptive"),
        (SegmentJob(0, 10, Greedy(0.1, patience=5, smooth=False)), "greedy initial_lr=0.1 patience=5 smooth=False"),
        (SegmentJob(0, 10, Linear(10, 0.1), evaluate=("test",)), "linear peak_lr=0.1"),
        (SegmentJob(10, 10, PiecewiseLinear(((0, 0.1),))), "evaluation"),
        (SegmentJob(0, 10, Constant(0.1), evaluate=("test",)), "Constant lr=0.1"),
        (SegmentJob(0, 10, PiecewiseLinear(((0, 0.1),)), evaluate=("test",)), "piecewise-linear"),
    ],
    ids=[
        "ramp",
        "frozen",
        "adaptive, not registered",
        "adaptive",
        "whole run",
        "no steps",
        "whole run, not registered",
        "whole run of a found schedule",
    ],
)
def test_a_job_is_called_by_what_sets_it_apart(job: SegmentJob, text: str) -> None:
    assert job_words.label(job) == text


def test_where_whole_runs_are_trained_each_round_is_told_once(capsys: pytest.CaptureFixture[str]) -> None:
    observer = progress.Progress(Console(stderr=True))
    job = SegmentJob(0, 10, PiecewiseLinear(((0, 0.1),)))
    for title in ("peak_lr of wsd", "peak_lr of wsd", "warmup of wsd"):
        observer.batch_started(Batch(title, [job], judge=False), RunSpec(20))
    assert capsys.readouterr().err == "peak_lr of wsd\nwarmup of wsd\n"
    assert observer.batch is not None
    observer.job_finished(job, JobResult("key", "ok", 2.0, steps=10), reused=False)
    assert not any("left" in part for part in observer.totals(observer.batch))


def whole_runs(count: int) -> list[SegmentJob]:
    """Jobs of two optimizers."""
    return [
        SegmentJob(0, 10, Linear(10, 0.1), evaluate=("test",), optimizer=(AdamW(), SGD())[i % 2]) for i in range(count)
    ]


def drawn_table(observer: progress.Progress) -> list[str]:
    """The lines of the live table."""
    console = Console(width=80, height=200)
    with console.capture() as captured:
        console.print(observer.table())
    return [line.rstrip() for line in captured.get().splitlines()]


def test_a_row_of_whole_runs_tells_optimizer_schedule_and_loss() -> None:
    observer = progress.Progress(Console(stderr=True, height=24))
    jobs = whole_runs(2)
    observer.batch_started(Batch("seed 3", jobs, judge=False), RunSpec(10))
    observer.job_finished(jobs[1], JobResult("key", "ok", 2.0, steps=10), reused=False)
    title, head, first, second, totals = drawn_table(observer)
    assert (title, head.split()) == ("seed 3", ["optimizer", "schedule", "mean", "loss", "status"])
    assert first.split() == ["adamw", "linear", "peak_lr=0.1", "waiting"]
    assert second.split() == ["sgd", "linear", "peak_lr=0.1", "2.0000", "ok"]
    assert totals.startswith("1 jobs (0 reused), 10 steps = 1.0 full runs")


def test_without_optimizers_of_their_own_the_column_is_left_out() -> None:
    observer = progress.Progress(Console(stderr=True, height=24))
    job = SegmentJob(0, 10, Linear(10, 0.1), evaluate=("test",))
    observer.batch_started(Batch("seed 3", [job], judge=False), RunSpec(10))
    assert drawn_table(observer)[1:3] == [
        "schedule            mean loss  status",
        "linear peak_lr=0.1             waiting",
    ]


@pytest.mark.parametrize(
    ("finished", "shown"), [(0, "1-16"), (30, "23-38"), (60, "45-60")], ids=["at first", "amid", "at the end"]
)
def test_a_long_table_shows_the_rows_at_work_and_the_totals_on_a_small_terminal(finished: int, shown: str) -> None:
    observer = progress.Progress(Console(stderr=True, height=20))
    jobs = [replace(job, seed=i) for i, job in enumerate(whole_runs(60))]
    observer.batch_started(Batch("seed 3", jobs, judge=False), RunSpec(10))
    for i, job in enumerate(jobs[:finished]):
        observer.job_finished(job, JobResult(f"key {i}", "ok", 2.0, steps=10), reused=False)
    lines = drawn_table(observer)
    assert lines[0] == f"seed 3 (rows {shown} of 60)"
    assert len(lines) == 19, "the screen has 20 lines, one of them for the cursor"
    assert sum(line.endswith("ok") for line in lines) == min(finished, 16) // (2 if finished == 30 else 1)
    assert lines[-1].startswith(f"{finished} jobs")


def test_each_decision_is_told_once_with_the_search_it_belongs_to(capsys: pytest.CaptureFixture[str]) -> None:
    observer = progress.Progress(Console(stderr=True))
    segment = Segment(1, 0, 10, 0.25, 0.0, (Candidate(0.1, 2.0, "ok", "key"),), 0.1, 0.5)
    job = SegmentJob(0, 10, PiecewiseLinear(((0, 0.1),)))
    for title in ("eps [1]: segment 2 of 3", "eps [1]: segment 3 of 3"):
        observer.batch_started(Batch(title, [job], (segment,)), RunSpec(20))
        observer.job_finished(job, JobResult(title, "ok", 2.0, steps=10), reused=True)
    assert capsys.readouterr().err == (
        "eps [1]: segment 1: steps 0-10, LR 0 -> 0.1, mean loss 2.0000, eps 0.25 nats, margin 0.5\n"
    )
    observer.job_finished(job, JobResult("key", "ok", 2.0, steps=10), reused=False)
    assert observer.batch is not None
    assert ", ".join(observer.totals(observer.batch)).startswith("3 jobs (2 reused), 30 steps = 1.5 full runs, 0 s")
    observer.working_ahead(2)
    assert "1.5 full runs, 2 running ahead, 0 s" in ", ".join(observer.totals(observer.batch))


def test_a_stopped_job_shows_what_its_loss_would_at_least_have_been() -> None:
    observer = progress.Progress(Console(stderr=True, height=24))
    job = SegmentJob(0, 10, PiecewiseLinear(((0, 0.1),)))
    observer.batch_started(Batch("segment 2 of 3", [job]), RunSpec(20))
    observer.job_finished(job, JobResult("key", "stopped", steps=7, at_least=2.5), reused=False)
    _, _, row, totals = drawn_table(observer)
    assert row.split() == ["0.1", ">", "2.5000", "stopped"]
    assert totals.startswith("1 jobs (0 reused, 1 stopped), 7 steps")


def test_jobs_that_a_later_round_names_again_count_once() -> None:
    observer = progress.Progress(Console(stderr=True, height=24))
    jobs = [SegmentJob(0, 10, PiecewiseLinear(((0, lr),))) for lr in (0.1, 0.2)]
    first, second = (JobResult(str(job.schedule), "ok", 2.0, steps=10) for job in jobs)
    observer.batch_started(Batch("segment 2 of 3", jobs[:1]), RunSpec(20))
    observer.job_finished(jobs[0], first, reused=False)
    observer.batch_started(Batch("segment 2 of 3", jobs), RunSpec(20))
    observer.job_finished(jobs[0], first, reused=True)
    observer.job_finished(jobs[1], second, reused=False)
    assert drawn_table(observer)[-1].startswith("2 jobs (0 reused), 20 steps")


def test_jobs_that_run_look_unlike_those_that_wait_and_tell_for_how_long(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.0
    monkeypatch.setattr("time.monotonic", lambda: now)
    observer = progress.Progress(Console(stderr=True, height=24))
    jobs = [SegmentJob(0, 10, PiecewiseLinear(((0, lr),))) for lr in (0.1, 0.2, 0.3)]
    observer.batch_started(Batch("segment 2 of 3", jobs), RunSpec(20))
    observer.job_started(replace(jobs[0], anew=True))
    now = 130.0
    observer.job_started(jobs[1])
    rows = [row.split(maxsplit=1)[1] for row in drawn_table(observer)[2:-1]]
    assert rows == ["running, 30 s", "running", "waiting"]


def placed(width: int) -> list[str]:
    """What the rows of whole runs tell of which the first two are at work: one here, one on another machine."""
    observer = progress.Progress(Console(stderr=True, width=width, height=24, force_terminal=True))
    jobs = [replace(job, seed=i) for i, job in enumerate(whole_runs(3))]
    observer.batch_started(Batch("seed 3", jobs, judge=False), RunSpec(10))
    for job, host, worker in zip(jobs, ("", "node7.cluster.example"), ("worker 1", "GPU 0"), strict=False):
        observer.job_started(replace(job, anew=True))
        observer.job_placed(replace(job, anew=True, stop_above=1.0), host, worker)
    console = Console(width=width)
    with console.capture() as captured:
        console.print(observer.table())
    return [line.rstrip() for line in captured.get().splitlines()[2:5]]


def test_a_job_that_runs_tells_where() -> None:
    assert [row.split("peak_lr=0.1")[1].strip() for row in placed(80)] == [
        "running on worker 1",
        "running on node7, GPU 0",
        "waiting",
    ]


def test_what_a_job_is_has_room_before_where_it_runs() -> None:
    assert [row.split("peak_lr=0.1")[1].strip() for row in placed(60)] == ["running", "running", "waiting"]


def test_a_job_that_another_worker_goes_on_with_tells_the_new_place() -> None:
    observer = progress.Progress(Console(stderr=True))
    (job,) = whole_runs(1)
    for number in (1, 2):
        observer.job_placed(job, "", f"worker {number}")
    assert observer.places == {job: "worker 2"}


def test_off_a_terminal_each_other_machine_is_told_once(capsys: pytest.CaptureFixture[str]) -> None:
    observer = progress.Progress(Console(stderr=True))
    (job,) = whole_runs(1)
    for host in ("", "node7", "node7", "[b]node8"):
        observer.job_placed(job, host, "worker 1")
    assert capsys.readouterr().err == "jobs run on node7\njobs run on [b]node8\n"


FINISHED = JobResult("key", "ok", 2.0, steps=10, seconds=20.0)


@pytest.mark.parametrize(
    ("result", "reused", "seconds", "status"),
    [
        (FINISHED, False, 3.0, "running"),
        (FINISHED, False, 16.0, "running, 16 s, about 40 %"),
        (FINISHED, False, 1000.0, "running, 17 min, about 99 %"),
        (replace(FINISHED, status="stopped", steps=5), False, 16.0, "running, 16 s, about 20 %"),
        (FINISHED, True, 16.0, "running, 16 s"),
        (replace(FINISHED, steps=0), False, 16.0, "running, 16 s"),
        (replace(FINISHED, seconds=0.0), False, 16.0, "running, 16 s"),
    ],
)
def test_a_long_job_tells_about_how_far_it_is_once_others_have_finished(
    result: JobResult, reused: bool, seconds: float, status: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 0.0
    monkeypatch.setattr("time.monotonic", lambda: now)
    observer = progress.Progress(Console(stderr=True, height=24))
    first, second = (SegmentJob(0, steps, PiecewiseLinear(((0, 0.1),))) for steps in (10, 20))
    observer.batch_started(Batch("segment 2 of 3", [first, second]), RunSpec(20))
    observer.job_finished(first, result, reused)
    evaluation, frozen = replace(second, start=20), replace(second, schedule=PiecewiseLinear(((0, 0.0),)))
    for job in (second, evaluation, frozen):
        observer.job_started(job)
    now = seconds
    assert observer.status(second, None) == status
    assert "about" not in observer.status(evaluation, None) + observer.status(frozen, None)


@pytest.mark.parametrize("width", [1, 12, 60])
def test_a_batch_of_what_is_computed_without_training_shows_its_title_and_the_time(width: int) -> None:
    observer = progress.Progress(console := Console(stderr=True, width=width, height=24))
    observer.batch_started(Batch("rex: 20 shapes", [], judge=False), RunSpec(10))
    with console.capture() as captured:
        console.print(observer.table())
    assert captured.get().replace("\n", " ").split()[-1] == "s"
    assert drawn_table(observer) == ["rex: 20 shapes", "0 s"]


@pytest.mark.parametrize("width", [60, 80, 120])
def test_the_live_table_breaks_no_number_and_no_name(width: int) -> None:
    console = Console(stderr=True, width=width, height=24)
    observer = progress.Progress(console)
    jobs = [replace(job, schedule=Greedy(0.012345, patience=5, smooth=False)) for job in whole_runs(2)]
    observer.batch_started(Batch("seed 3", jobs, judge=False), RunSpec(10))
    observer.job_finished(jobs[0], JobResult("key", "diverged", 1234.5678, steps=10), reused=False)
    with console.capture() as captured:
        console.print(observer.table())
    lines = [line.rstrip() for line in captured.get().splitlines()]
    assert max(map(len, lines)) <= width
    assert len(lines) == 5 if width >= 80 else len(lines) <= 7
    words = {word.strip(",()") for line in lines for word in line.split()}
    whole = " ".join(["greedy", *job_words.settings(jobs[0].schedule)]).split()
    assert {"1234.5678", "diverged", "waiting", "greedy"} <= words
    assert ("initial_lr=0.0123" in words) is (width >= 80)
    assert {word for word in words if "=" in word} <= {*whole, "="}
