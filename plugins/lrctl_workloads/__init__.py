"""The built-in workloads: a small GPT on a text of your choice, a classifier of small images, a linear regression."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lrctl import hookimpl

if TYPE_CHECKING:
    from lrctl.hookspecs import Register


@hookimpl
def register_workloads(register: Register) -> None:
    """Register every workload of this folder."""
    from lrctl_workloads.exact_regression import ExactRegression, ExactRegressionParams
    from lrctl_workloads.gpt import Gpt, GptParams
    from lrctl_workloads.images import ImageClassifier, ImagesParams
    from lrctl_workloads.linear_regression import LinearRegression, LinearRegressionParams

    register(Gpt, name="gpt", params=GptParams, help="a GPT-like decoder that learns to predict a text")
    register(
        ImageClassifier,
        name="images",
        params=ImagesParams,
        help="a network that learns to tell small images apart: digits, MNIST, Fashion-MNIST, CIFAR-10, CIFAR-100",
    )
    register(
        LinearRegression,
        name="linear-regression",
        params=LinearRegressionParams,
        help="least squares with a power-law spectrum; a step takes microseconds",
    )
    register(
        ExactRegression,
        name="exact-linear-regression",
        params=ExactRegressionParams,
        help="the expected loss of SGD on least squares, without sampling; its best schedule can be computed",
    )
