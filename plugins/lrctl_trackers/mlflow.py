"""MLflow: a run for the search, and one below it for each job."""

from __future__ import annotations

import logging
import os
import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

from lrctl.contracts.tracker import TrackedSearch
from lrctl_trackers.recording import Page, Point, Recorder, check_no_links, mark, need

URI = "MLFLOW_TRACKING_URI"

MOST_METRICS, MOST_PARAMS, LONGEST = 1000, 100, 6000
"""What MLflow takes at a time, and the letters of a parameter's value."""


@dataclass(frozen=True, slots=True)
class MLflowParams:
    experiment: Annotated[str, "the experiment that the runs belong to"] = "lrctl"
    folder: Annotated[
        str, "where its database and artifacts are; empty is MLFLOW_TRACKING_URI, else tracked/mlflow in the store"
    ] = ""


def mlflow(params: MLflowParams) -> Recorder:
    need("mlflow")
    return Recorder(MLflow(params))


@dataclass(slots=True)
class MLflow:
    params: MLflowParams
    client: Any = None
    experiment: str = ""
    tags: dict[str, str] = field(default_factory=dict)

    def search(self, search: TrackedSearch, config: Mapping[str, Any]) -> Page:
        self.connect(search.folder)
        self.tags = {"lrctl.search": mark(search)}
        while old := self.client.search_runs([self.experiment], f"tags.`lrctl.search` = '{mark(search)}'"):
            for each in old:  # a page of them; those that are deleted are in none
                self.client.delete_run(each.info.run_id)
        page = self.page(search.run, config)
        self.tags["mlflow.parentRunId"] = page.id
        return page

    def job(self, name: str, config: Mapping[str, Any]) -> Page:
        return self.page(name, config)

    def connect(self, default: Path) -> None:
        folder, uri = Path(self.params.folder or default).absolute(), os.environ.get(URI)
        if not (self.params.folder or uri):
            check_no_links(folder / "mlflow.db", folder / "artifacts")
        os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")  # read when it is imported
        from mlflow.tracking import MlflowClient

        for name in ("mlflow", "alembic"):
            logging.getLogger(name).setLevel(logging.WARNING)
        if self.params.folder or not uri:
            folder.mkdir(parents=True, exist_ok=True)
            uri = f"sqlite:///{folder / 'mlflow.db'}"
        self.client = MlflowClient(tracking_uri=uri)
        known = self.client.get_experiment_by_name(self.params.experiment)
        artifacts = (folder / "artifacts").as_uri() if uri.startswith("sqlite:") else None
        self.experiment = (
            known.experiment_id if known else self.client.create_experiment(self.params.experiment, artifacts)
        )

    def page(self, name: str, config: Mapping[str, Any]) -> Run:
        run = self.client.create_run(self.experiment, run_name=name, tags=self.tags)
        page = Run(self.client, run.info.run_id)
        page.describe(config)
        return page


@dataclass(slots=True)
class Run:
    client: Any
    id: str

    def describe(self, config: Mapping[str, Any]) -> None:
        from mlflow.entities import Param

        params = [Param(allowed(name), str(value)[:LONGEST]) for name, value in config.items()]
        for first in range(0, len(params), MOST_PARAMS):
            self.client.log_batch(self.id, params=params[first : first + MOST_PARAMS])

    def log(self, points: Sequence[Point]) -> None:
        from mlflow.entities import Metric

        now = int(time.time() * 1000)
        metrics = [Metric(allowed(name), value, now, step) for step, values in points for name, value in values.items()]
        for first in range(0, len(metrics), MOST_METRICS):
            self.client.log_batch(self.id, metrics=metrics[first : first + MOST_METRICS])

    def keep(self, files: Sequence[Path]) -> None:
        for path in files:
            self.client.log_artifact(self.id, str(path))

    def close(self) -> None:
        self.client.set_terminated(self.id)


def allowed(name: str) -> str:
    """A name without what MLflow allows in none: metrics are named by the user's workload.

    >>> allowed("test/top@5")
    'test/top_5'
    """
    return re.sub(r"[^\w. /:-]", "_", name)
