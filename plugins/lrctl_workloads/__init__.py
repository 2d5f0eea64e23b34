"""The built-in workloads: a small GPT on a text of your choice, a classifier of small images, a linear regression.

And fine-tuning of any model of Hugging Face transformers on any data set of six tasks.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lrctl.registry.hookspecs import hookimpl

if TYPE_CHECKING:
    from lrctl.registry.hookspecs import Register


@hookimpl
def register_workloads(register: Register) -> None:
    """Register every workload of this folder."""
    from lrctl_workloads.images.classifier import ImageClassifier, ImagesParams
    from lrctl_workloads.regression.exact import ExactRegression, ExactRegressionParams
    from lrctl_workloads.regression.linear import LinearRegression, LinearRegressionParams
    from lrctl_workloads.text.gpt import Gpt, GptParams

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
    register_tasks(register)


def register_tasks(register: Register) -> None:
    """Register a workload for each task. The package transformers is imported when one is used."""
    from lrctl_workloads.finetune import params
    from lrctl_workloads.finetune.tasks import (
        image_classification,
        question_answering,
        segmentation,
        summarization,
        token_classification,
        translation,
    )

    register(
        translation,
        name="translation",
        params=params.TranslationParams,
        help="an encoder-decoder of transformers that learns to translate",
    )
    register(
        summarization,
        name="summarization",
        params=params.SummarizationParams,
        help="an encoder-decoder of transformers that learns to sum texts up",
    )
    register(
        question_answering,
        name="question-answering",
        params=params.QuestionAnsweringParams,
        help="a model of transformers that learns to find the answer to a question in a text",
    )
    register(
        token_classification,
        name="token-classification",
        params=params.TokenClassificationParams,
        help="a model of transformers that learns to label words, such as names",
    )
    register(
        image_classification,
        name="image-classification",
        params=params.ImageClassificationParams,
        help="a model of transformers that learns to tell kinds of images apart",
    )
    register(
        segmentation,
        name="segmentation",
        params=params.SegmentationParams,
        help="a model of transformers that learns what each pixel of an image belongs to",
    )
