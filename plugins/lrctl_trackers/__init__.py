"""The built-in trackers."""

from __future__ import annotations

from lrctl.registry.hookspecs import Register, hookimpl


@hookimpl
def register_trackers(register: Register) -> None:
    """Register the trackers; each is imported when it is first used."""
    register(
        "lrctl_trackers.tensorboard:tensorboard",
        name="tensorboard",
        params="lrctl_trackers.tensorboard:TensorBoardParams",
        help="event files for TensorBoard",
    )
    register(
        "lrctl_trackers.wandb:wandb",
        name="wandb",
        params="lrctl_trackers.wandb:WandbParams",
        help="Weights & Biases, offline unless asked otherwise",
    )
    register(
        "lrctl_trackers.mlflow:mlflow",
        name="mlflow",
        params="lrctl_trackers.mlflow:MLflowParams",
        help="MLflow, in a database of files",
    )
    register(
        "lrctl_trackers.trackio:trackio",
        name="trackio",
        params="lrctl_trackers.trackio:TrackioParams",
        help="Trackio, on this machine",
    )
