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
    """Register every workload of this folder; each is imported when it is first used."""
    register(
        "lrctl_workloads.text.gpt:Gpt",
        name="gpt",
        params="lrctl_workloads.text.gpt:GptParams",
        help="a GPT-like decoder that learns to predict a text",
    )
    register(
        "lrctl_workloads.images.classifier:ImageClassifier",
        name="images",
        params="lrctl_workloads.images.classifier:ImagesParams",
        help="a network that learns to tell small images apart: digits, MNIST, Fashion-MNIST, CIFAR-10, CIFAR-100",
    )
    register(
        "lrctl_workloads.regression.linear:LinearRegression",
        name="linear-regression",
        params="lrctl_workloads.regression.linear:LinearRegressionParams",
        help="least squares with a power-law spectrum; a step takes microseconds",
    )
    register(
        "lrctl_workloads.regression.exact:ExactRegression",
        name="exact-linear-regression",
        params="lrctl_workloads.regression.exact:ExactRegressionParams",
        help="the expected loss of SGD on least squares, without sampling; its best schedule can be computed",
    )
    register_tasks(register)


def register_tasks(register: Register) -> None:
    """Register a workload for each task."""
    register(
        "lrctl_workloads.finetune.tasks:translation",
        name="translation",
        params="lrctl_workloads.finetune.params:TranslationParams",
        help="an encoder-decoder of transformers that learns to translate",
    )
    register(
        "lrctl_workloads.finetune.tasks:summarization",
        name="summarization",
        params="lrctl_workloads.finetune.params:SummarizationParams",
        help="an encoder-decoder of transformers that learns to sum texts up",
    )
    register(
        "lrctl_workloads.finetune.tasks:question_answering",
        name="question-answering",
        params="lrctl_workloads.finetune.params:QuestionAnsweringParams",
        help="a model of transformers that learns to find the answer to a question in a text",
    )
    register(
        "lrctl_workloads.finetune.tasks:token_classification",
        name="token-classification",
        params="lrctl_workloads.finetune.params:TokenClassificationParams",
        help="a model of transformers that learns to label words, such as names",
    )
    register(
        "lrctl_workloads.finetune.tasks:image_classification",
        name="image-classification",
        params="lrctl_workloads.finetune.params:ImageClassificationParams",
        help="a model of transformers that learns to tell kinds of images apart",
    )
    register(
        "lrctl_workloads.finetune.tasks:segmentation",
        name="segmentation",
        params="lrctl_workloads.finetune.params:SegmentationParams",
        help="a model of transformers that learns what each pixel of an image belongs to",
    )
