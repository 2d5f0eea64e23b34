"""TensorBoard: a run for the search, and one for each place that jobs have in their batch.

TensorBoard lists folders as runs, and draws the values that all of them have of one tag into one chart. So a batch of
jobs, such as a segment, is a group of charts in which its jobs lie over each other, and the list of runs is as long as
the longest batch, not as all of them.
"""

from __future__ import annotations

import struct
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

from lrctl.contracts.tracker import TrackedSearch
from lrctl.errors import StoreError
from lrctl_trackers.recording import Page, Point, Recorder, check_no_links, need

MARKER = "lrctl-run.txt"
"""The file that makes a folder this tracker's own: it names the run."""

MOST = 32
"""Runs for the jobs of a batch, at the most; one more has what all further ones came to, by their number."""


@dataclass(frozen=True, slots=True)
class TensorBoardParams:
    folder: Annotated[str, "where its folders are; empty is tracked/tensorboard in the store"] = ""


def tensorboard(params: TensorBoardParams) -> Recorder:
    need("tensorboard")
    return Recorder(TensorBoard(params))


@dataclass(slots=True)
class TensorBoard:
    """What is open: the folder of the search, its run and those of its jobs, and how many of each batch there are."""

    params: TensorBoardParams
    folder: Path = field(default_factory=Path)
    files: dict[str, EventFile] = field(default_factory=dict)
    jobs: Counter[str] = field(default_factory=Counter)

    def search(self, search: TrackedSearch, config: Mapping[str, Any]) -> Page:
        self.close()
        self.folder = Path(self.params.folder or search.folder).absolute() / search.run
        # Other stores may share a folder that was given; a store that is moved takes its own along.
        claim(self.folder, f"{search.run} of {search.store}" if self.params.folder else search.run)
        file = self.file("")
        file.text("config", listed(config))
        return SearchPage(file, self.close)

    def job(self, name: str, config: Mapping[str, Any]) -> Page:
        batch = str(config["title"]).replace("/", " ")  # a slash ends the name of a group of charts
        self.jobs[batch] += 1
        number = self.jobs[batch]
        file = self.file(f"jobs/{number:02}" if number <= MOST else f"jobs/from {MOST + 1}")
        file.text(f"{batch}/{name}", listed(config))
        return JobPage(file, batch, number)

    def file(self, run: str) -> EventFile:
        """The open file of a run within that of the search."""
        if run not in self.files:
            self.files[run] = EventFile(self.folder / run)
        return self.files[run]

    def close(self) -> None:
        for file in self.files.values():
            file.writer.close()
        self.files.clear()
        self.jobs.clear()


def listed(config: Mapping[str, Any]) -> list[str]:
    return [f"{name}: {value}" for name, value in config.items()]


def claim(folder: Path, run: str) -> None:
    """Make a folder the one of a run, without the event files that are there of the same run.

    Raises:
        StoreError: it holds a link, or event files that are not known to be of that run.
    """
    inside = [*folder.rglob("*")]
    check_no_links(folder, *inside)
    events, marker = [path for path in inside if path.match("events.out.tfevents.*")], folder / MARKER
    if events and not (marker.is_file() and marker.read_text(encoding="utf-8") == run):
        raise StoreError(
            f"{folder} holds event files that this tracker did not write for run {run}; move them, "
            "or choose another track.tensorboard.folder or --name"
        )
    for event in events:
        event.unlink()
    folder.mkdir(parents=True, exist_ok=True)
    marker.write_text(run, encoding="utf-8")


class EventFile:
    """An event file of a run; tags are its own."""

    def __init__(self, folder: Path) -> None:
        from tensorboard.compat.proto.event_pb2 import Event
        from tensorboard.compat.proto.summary_pb2 import Summary
        from tensorboard.summary.writer.event_file_writer import EventFileWriter

        self.event, self.summary = Event, Summary
        self.writer = EventFileWriter(str(folder))

    def numbers(self, step: int, values: Mapping[str, float]) -> None:
        self.add(step, *(self.summary.Value(tag=name, simple_value=value) for name, value in values.items()))

    def picture(self, name: str, content: bytes) -> None:
        width, height = struct.unpack(">II", content[16:24])
        image = self.summary.Image(width=width, height=height, colorspace=4, encoded_image_string=content)
        self.add(0, self.summary.Value(tag=name, image=image))

    def text(self, name: str, lines: Iterable[str]) -> None:
        from tensorboard.compat.proto.summary_pb2 import SummaryMetadata
        from tensorboard.compat.proto.tensor_pb2 import TensorProto

        about = SummaryMetadata(plugin_data=SummaryMetadata.PluginData(plugin_name="text"))
        tensor = TensorProto(dtype="DT_STRING", string_val=["\n".join(f"    {line}" for line in lines).encode()])
        self.add(0, self.summary.Value(tag=f"{name}/text_summary", metadata=about, tensor=tensor))

    def add(self, step: int, *values: Any) -> None:
        self.writer.add_event(self.event(step=step, wall_time=time.time(), summary=self.summary(value=values)))


@dataclass(frozen=True, slots=True)
class SearchPage:
    file: EventFile
    close_all: Callable[[], None]

    def log(self, points: Sequence[Point]) -> None:
        for step, values in points:
            self.file.numbers(step, values)

    def keep(self, files: Sequence[Path]) -> None:
        for path in files:
            if path.suffix == ".png":
                self.file.picture(path.stem, path.read_bytes())
            else:
                self.file.text(path.stem, path.read_text(encoding="utf-8").splitlines())

    def close(self) -> None:
        self.close_all()


@dataclass(frozen=True, slots=True)
class JobPage:
    """A job's part of the file of those with its number: all tags begin with the batch."""

    file: EventFile
    batch: str
    number: int

    def log(self, points: Sequence[Point]) -> None:
        # Curves of many jobs in one run would be one line, to and fro.
        told = points if self.number <= MOST else [(self.number, points[-1][1])]
        for step, values in told:
            self.file.numbers(step, {f"{self.batch}/{name}": value for name, value in values.items()})

    def keep(self, files: Sequence[Path]) -> None:
        """Nothing: a job has no files."""

    def close(self) -> None:
        self.file.writer.flush()
