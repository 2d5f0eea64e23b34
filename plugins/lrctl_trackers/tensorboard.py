"""TensorBoard: a folder of event files for the search, and one in it for each job."""

from __future__ import annotations

import struct
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

from lrctl.contracts.tracker import TrackedSearch
from lrctl.errors import StoreError
from lrctl_trackers.recording import Page, Point, Recorder, check_no_links, need

MARKER = "lrctl-run.txt"
"""The file that makes a folder this tracker's own: it names the run."""


@dataclass(frozen=True, slots=True)
class TensorBoardParams:
    folder: Annotated[str, "where its folders are; empty is tracked/tensorboard in the store"] = ""


def tensorboard(params: TensorBoardParams) -> Recorder:
    need("tensorboard")
    return Recorder(TensorBoard(params))


@dataclass(slots=True)
class TensorBoard:
    params: TensorBoardParams
    folder: Path = field(default_factory=Path)

    def search(self, search: TrackedSearch, config: Mapping[str, Any]) -> Page:
        self.folder = Path(self.params.folder or search.folder).absolute() / search.run
        # Other stores may share a folder that was given; a store that is moved takes its own along.
        claim(self.folder, f"{search.run} of {search.store}" if self.params.folder else search.run)
        return EventFile(self.folder, config)

    def job(self, name: str, config: Mapping[str, Any]) -> Page:
        return EventFile(self.folder / "jobs" / name, config)


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
    def __init__(self, folder: Path, config: Mapping[str, Any]) -> None:
        from tensorboard.compat.proto.event_pb2 import Event
        from tensorboard.compat.proto.summary_pb2 import Summary
        from tensorboard.summary.writer.event_file_writer import EventFileWriter

        self.event, self.summary = Event, Summary
        self.writer = EventFileWriter(str(folder))
        self.text("config", "\n".join(f"    {name}: {value}" for name, value in config.items()))

    def log(self, points: Sequence[Point]) -> None:
        for step, values in points:
            self.add(step, *(self.summary.Value(tag=name, simple_value=value) for name, value in values.items()))

    def keep(self, files: Sequence[Path]) -> None:
        for path in files:
            if path.suffix == ".png":
                content = path.read_bytes()
                width, height = struct.unpack(">II", content[16:24])
                image = self.summary.Image(width=width, height=height, colorspace=4, encoded_image_string=content)
                self.add(0, self.summary.Value(tag=path.stem, image=image))
            else:
                self.text(path.stem, "    " + path.read_text(encoding="utf-8").replace("\n", "\n    "))

    def text(self, name: str, markdown: str) -> None:
        from tensorboard.compat.proto.summary_pb2 import SummaryMetadata
        from tensorboard.compat.proto.tensor_pb2 import TensorProto

        about = SummaryMetadata(plugin_data=SummaryMetadata.PluginData(plugin_name="text"))
        tensor = TensorProto(dtype="DT_STRING", string_val=[markdown.encode()])
        self.add(0, self.summary.Value(tag=f"{name}/text_summary", metadata=about, tensor=tensor))

    def add(self, step: int, *values: Any) -> None:
        self.writer.add_event(self.event(step=step, wall_time=time.time(), summary=self.summary(value=values)))

    def close(self) -> None:
        self.writer.close()
