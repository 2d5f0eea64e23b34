"""The workload of each task, from its parameters and a seed."""

from __future__ import annotations

from lrctl_workloads.finetune.answers import Answers
from lrctl_workloads.finetune.finetune import FineTuning
from lrctl_workloads.finetune.masks import Masks
from lrctl_workloads.finetune.params import (
    ImageClassificationParams,
    QuestionAnsweringParams,
    SegmentationParams,
    SummarizationParams,
    TokenClassificationParams,
    TranslationParams,
)
from lrctl_workloads.finetune.pictures import Pictures
from lrctl_workloads.finetune.pretrained import Pretrained
from lrctl_workloads.finetune.seq2seq import Pairs, Seq2Seq
from lrctl_workloads.finetune.words import Words


def translation(params: TranslationParams, seed: int) -> FineTuning:
    """A text in another language."""
    pretrained = Pretrained(params.model, params.pretrained)
    pairs = Pairs(("source", "target"), (params.source, params.target), params.column)
    return FineTuning(params, seed, "translation", Seq2Seq(params, pretrained, pairs), pretrained)


def summarization(params: SummarizationParams, seed: int) -> FineTuning:
    """A short text that says what a long one does."""
    pretrained = Pretrained(params.model, params.pretrained)
    pairs = Pairs(("text_column", "summary_column"), (params.text_column, params.summary_column))
    return FineTuning(params, seed, "summarization", Seq2Seq(params, pretrained, pairs), pretrained)


def question_answering(params: QuestionAnsweringParams, seed: int) -> FineTuning:
    """Where the answer to a question stands in a text."""
    pretrained = Pretrained(params.model, params.pretrained)
    return FineTuning(params, seed, "question-answering", Answers(params, pretrained), pretrained)


def token_classification(params: TokenClassificationParams, seed: int) -> FineTuning:
    """A label for each word."""
    pretrained = Pretrained(params.model, params.pretrained)
    return FineTuning(params, seed, "token-classification", Words(params, pretrained), pretrained)


def image_classification(params: ImageClassificationParams, seed: int) -> FineTuning:
    """A label for each image."""
    pretrained = Pretrained(params.model, params.pretrained)
    return FineTuning(params, seed, "image-classification", Pictures(params, pretrained), pretrained)


def segmentation(params: SegmentationParams, seed: int) -> FineTuning:
    """A label for each pixel."""
    pretrained = Pretrained(params.model, params.pretrained)
    return FineTuning(params, seed, "segmentation", Masks(params, pretrained), pretrained)
