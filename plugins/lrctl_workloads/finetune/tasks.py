"""The workload of each task, from its parameters and a seed."""

from __future__ import annotations

from lrctl_workloads.finetune import params as parameters
from lrctl_workloads.finetune.finetune import FineTuning
from lrctl_workloads.finetune.image_classification import ImageClassification
from lrctl_workloads.finetune.pretrained import Pretrained
from lrctl_workloads.finetune.question_answering import QuestionAnswering
from lrctl_workloads.finetune.segmentation import Segmentation
from lrctl_workloads.finetune.seq2seq import Seq2Seq
from lrctl_workloads.finetune.token_classification import TokenClassification


def translation(params: parameters.TranslationParams, seed: int) -> FineTuning:
    """A text in another language."""
    pretrained = Pretrained(params.model, params.pretrained)
    task = Seq2Seq(params, pretrained, ("source", "target"), params.column)
    return FineTuning(params, seed, "translation", task, pretrained)


def summarization(params: parameters.SummarizationParams, seed: int) -> FineTuning:
    """A short text that says what a long one does."""
    pretrained = Pretrained(params.model, params.pretrained)
    task = Seq2Seq(params, pretrained, ("text_column", "summary_column"))
    return FineTuning(params, seed, "summarization", task, pretrained)


def question_answering(params: parameters.QuestionAnsweringParams, seed: int) -> FineTuning:
    """Where the answer to a question stands in a text."""
    pretrained = Pretrained(params.model, params.pretrained)
    return FineTuning(params, seed, "question-answering", QuestionAnswering(params, pretrained), pretrained)


def token_classification(params: parameters.TokenClassificationParams, seed: int) -> FineTuning:
    """A label for each word."""
    pretrained = Pretrained(params.model, params.pretrained)
    return FineTuning(params, seed, "token-classification", TokenClassification(params, pretrained), pretrained)


def image_classification(params: parameters.ImageClassificationParams, seed: int) -> FineTuning:
    """A label for each image."""
    pretrained = Pretrained(params.model, params.pretrained)
    return FineTuning(params, seed, "image-classification", ImageClassification(params, pretrained), pretrained)


def segmentation(params: parameters.SegmentationParams, seed: int) -> FineTuning:
    """A label for each pixel."""
    pretrained = Pretrained(params.model, params.pretrained)
    return FineTuning(params, seed, "segmentation", Segmentation(params, pretrained), pretrained)
