"""The built-in workloads: a small GPT on a text of your choice, a classifier of small images, a linear regression.

And fine-tuning of any model of Hugging Face transformers on any data set of six tasks, and any program of one's own.
"""

from __future__ import annotations

from lrctl.registry.hookspecs import Register, hookimpl

TASKS = {
    "translation": "an encoder-decoder of transformers that learns to translate",
    "summarization": "an encoder-decoder of transformers that learns to sum texts up",
    "question-answering": "a model of transformers that learns to find the answer to a question in a text",
    "token-classification": "a model of transformers that learns to label words, such as names",
    "image-classification": "a model of transformers that learns to tell kinds of images apart",
    "segmentation": "a model of transformers that learns what each pixel of an image belongs to",
}


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
    register(
        "lrctl_workloads.program:program",
        name="program",
        params="lrctl_workloads.program:ProgramParams",
        help="a training program of your own, started once for each job",
        program=True,
    )
    for task, text in TASKS.items():
        params = f"lrctl_workloads.finetune.params:{task.title().replace('-', '')}Params"
        register("lrctl_workloads.finetune.finetune:fine_tuning", name=task, params=params, help=text)
