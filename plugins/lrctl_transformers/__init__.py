"""Workloads that fine-tune any model of Hugging Face transformers on any data set of six tasks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lrctl import hookimpl

if TYPE_CHECKING:
    from lrctl.hookspecs import Register


@hookimpl
def register_workloads(register: Register) -> None:
    """Register a workload for each task. The package transformers is imported when one is used."""
    from lrctl_transformers import parameters
    from lrctl_transformers.tasks import (
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
        params=parameters.TranslationParams,
        help="an encoder-decoder of transformers that learns to translate",
    )
    register(
        summarization,
        name="summarization",
        params=parameters.SummarizationParams,
        help="an encoder-decoder of transformers that learns to sum texts up",
    )
    register(
        question_answering,
        name="question-answering",
        params=parameters.QuestionAnsweringParams,
        help="a model of transformers that learns to find the answer to a question in a text",
    )
    register(
        token_classification,
        name="token-classification",
        params=parameters.TokenClassificationParams,
        help="a model of transformers that learns to label words, such as names",
    )
    register(
        image_classification,
        name="image-classification",
        params=parameters.ImageClassificationParams,
        help="a model of transformers that learns to tell kinds of images apart",
    )
    register(
        segmentation,
        name="segmentation",
        params=parameters.SegmentationParams,
        help="a model of transformers that learns what each pixel of an image belongs to",
    )
