"""Trackio: a run for the search and one for each job, in a project on this machine, which `trackio show` shows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from lrctl.contracts.tracker import TrackedSearch
from lrctl.errors import StoreError
from lrctl_trackers.recording import Page, Point, Recorder, mark, need

MARK = "lrctl.search"
"""What the config of a run calls the search that it is of."""


@dataclass(frozen=True, slots=True)
class TrackioParams:
    project: Annotated[str, "the project that the runs belong to; TRACKIO_DIR says where it is"] = "lrctl"


def trackio(params: TrackioParams) -> Recorder:
    need("trackio")
    return Recorder(Trackio(params))


@dataclass(slots=True)
class Trackio:
    params: TrackioParams
    group: str = ""
    mark: str = ""

    def search(self, search: TrackedSearch, config: Mapping[str, Any]) -> Page:
        self.group, self.mark = search.run, mark(search)
        return self.page(search.run, config)

    def job(self, name: str, config: Mapping[str, Any]) -> Page:
        return self.page(f"{self.group}-{name}", config)

    def page(self, name: str, config: Mapping[str, Any]) -> Page:
        from trackio import SQLiteStorage

        project = self.params.project
        if name in SQLiteStorage.get_runs(project):
            if (SQLiteStorage.get_run_config(project, name) or {}).get(MARK) != self.mark:
                raise StoreError(
                    f"project {project} of Trackio has a run {name} that is not of this search; choose another "
                    "--name or track.trackio.project"
                )
            SQLiteStorage.delete_run(project, name)
        return Run(project, name, {"_group": self.group, MARK: self.mark, **config})


@dataclass(slots=True)
class Run:
    """A run in the project's database: what `trackio.log` comes to, without its messages and a thread for each run."""

    project: str
    name: str
    config: Mapping[str, Any]

    def log(self, points: Sequence[Point]) -> None:
        from trackio import SQLiteStorage

        steps, values = [step for step, _ in points], [dict(values) for _, values in points]
        SQLiteStorage.bulk_log(self.project, self.name, values, steps=steps, config=dict(self.config))

    def keep(self, files: Sequence[Path]) -> None:
        from trackio import Image

        for path in files:
            if path.suffix == ".png":
                image = Image(str(path), caption=path.stem)
                image._save(self.project, self.name, 0)
                self.log([(0, {path.stem: image._to_dict()})])

    def close(self) -> None:
        """There is nothing open."""
