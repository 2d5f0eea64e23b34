"""Weights & Biases: a run for the search and one for each job, in a group. Offline, `wandb sync` sends them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Annotated, Any, Literal

from lrctl.contracts.tracker import TrackedSearch
from lrctl_trackers.recording import Page, Point, Recorder, check_no_links, mark, need


@dataclass(frozen=True, slots=True)
class WandbParams:
    project: Annotated[str, "the project that the runs belong to"] = "lrctl"
    mode: Annotated[Literal["offline", "online"], "offline sends nothing"] = "offline"
    folder: Annotated[str, "where its folder wandb is; empty is tracked/wandb in the store"] = ""


def wandb(params: WandbParams) -> Recorder:
    need("wandb")
    return Recorder(Wandb(params))


@dataclass(slots=True)
class Wandb:
    params: WandbParams
    folder: Path = field(default_factory=Path)
    group: str = ""
    id: str = ""

    def search(self, search: TrackedSearch, config: Mapping[str, Any]) -> Page:
        self.folder, self.group = Path(self.params.folder or search.folder).absolute(), search.run
        if not self.params.folder:
            check_no_links(self.folder / "wandb")
        self.folder.mkdir(parents=True, exist_ok=True)
        self.id = mark(search)
        return self.page("search", search.run, self.id, config)

    def job(self, name: str, config: Mapping[str, Any]) -> Page:
        return self.page("job", name, sha256(f"{self.id}{config['key']}".encode()).hexdigest()[:16], config)

    def page(self, kind: str, name: str, id_: str, config: Mapping[str, Any]) -> Page:
        import wandb

        quiet = {"silent": True, "console": "off", "disable_git": True, "disable_code": True}
        settings = wandb.Settings(mode=self.params.mode, **quiet, x_disable_stats=True, x_disable_meta=True)
        told = {"project": self.params.project, "group": self.group, "job_type": kind, "name": name, "id": id_}
        run = wandb.init(**told, dir=self.folder, config=dict(config), settings=settings, reinit="create_new")
        # Steps of its own only ever rise; those of a search begin again with the run that it found.
        run.define_metric("*", step_metric="step")
        return Run(run)


@dataclass(slots=True)
class Run:
    run: Any

    def log(self, points: Sequence[Point]) -> None:
        for step, values in points:
            self.run.log({"step": step, **values})

    def keep(self, files: Sequence[Path]) -> None:
        import wandb

        if not files:
            return
        artifact = wandb.Artifact(f"{self.run.id}-{files[0].stem}", type="result")
        for path in files:
            artifact.add_file(str(path))
            if path.suffix == ".png":
                self.run.log({path.stem: wandb.Image(str(path))})
        self.run.log_artifact(artifact)

    def close(self) -> None:
        self.run.finish()
