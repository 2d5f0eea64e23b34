"""Parameters of the six tasks, and what is wrong with some values of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, Protocol

Model = Annotated[
    str, "model of the Hugging Face hub, such as t5-base or OWNER/NAME, either with @REVISION; or a folder"
]
Data = Annotated[
    str,
    "data set of the hub: OWNER/NAME or OWNER/NAME/CONFIG, either with @REVISION; or a .jsonl or .parquet file, or a "
    "folder",
]
Pretrained = Annotated[bool, "start from the model's weights; false: from fresh ones"]
BatchSize = Annotated[int, "rows in a batch; a question with a long text has a row for each window of it"]
TrainSplit = Annotated[str, "split to train on"]
ValidationSplit = Annotated[str, "split to choose by; empty: the usual one, else 1/20 of the training split"]
TestSplit = Annotated[str, "split that is only reported; empty: the usual one, else 1/20 of the training split"]
TrainExamples = Annotated[int, "at most so many examples to train on, from all over the split; 0: all"]
HeldOutExamples = Annotated[
    int, "at most so many examples for each of validation, test and scoring, from all over their splits"
]
Labels = Annotated[int, "how many labels there are; 0: as many as the data names or has"]
MaxTokens = Annotated[int, "every sample is cut or padded to so many tokens"]
Prefix = Annotated[str, "text put before every source, such as 'summarize: ' for T5"]
ImageSize = Annotated[int, "height and width of the model's input; 0: as the model's processor says"]


class Shared(Protocol):
    """What the parameters of every task have."""

    model: str
    data: str
    pretrained: bool
    batch_size: int
    train_split: str
    validation_split: str
    test_split: str
    train_examples: int
    held_out_examples: int


@dataclass(frozen=True)
class TranslationParams:
    """Parameters of the workload `translation`."""

    model: Model = "google/pegasus-x-base"
    data: Data = "wmt/wmt16/de-en"
    column: Annotated[str, "column that holds a text by language; empty: each language is a column"] = "translation"
    source: Annotated[str, "language to translate from: its key in the column"] = "de"
    target: Annotated[str, "language to translate to"] = "en"
    source_code: Annotated[str, "the tokenizer's code of the source language, for models of many languages"] = ""
    target_code: Annotated[str, "the tokenizer's code of the target language, such as en_XX for mBART"] = ""
    prefix: Prefix = ""
    max_source_tokens: MaxTokens = 128
    max_target_tokens: MaxTokens = 128
    pretrained: Pretrained = True
    batch_size: BatchSize = 8
    train_split: TrainSplit = "train"
    validation_split: ValidationSplit = ""
    test_split: TestSplit = ""
    train_examples: TrainExamples = 0
    held_out_examples: HeldOutExamples = 1000

    def __post_init__(self) -> None:
        check(self, "max_source_tokens", "max_target_tokens")


@dataclass(frozen=True)
class SummarizationParams:
    """Parameters of the workload `summarization`."""

    model: Model = "t5-base"
    data: Data = "EdinburghNLP/xsum"
    text_column: Annotated[str, "column of the texts"] = "document"
    summary_column: Annotated[str, "column of their summaries"] = "summary"
    prefix: Prefix = "summarize: "
    max_source_tokens: MaxTokens = 512
    max_target_tokens: MaxTokens = 64
    pretrained: Pretrained = True
    batch_size: BatchSize = 8
    train_split: TrainSplit = "train"
    validation_split: ValidationSplit = ""
    test_split: TestSplit = ""
    train_examples: TrainExamples = 0
    held_out_examples: HeldOutExamples = 1000

    def __post_init__(self) -> None:
        check(self, "max_source_tokens", "max_target_tokens")


@dataclass(frozen=True)
class QuestionAnsweringParams:
    """Parameters of the workload `question-answering`."""

    model: Model = "bert-base-uncased"
    data: Data = "rajpurkar/squad"
    question_column: Annotated[str, "column of the questions"] = "question"
    context_column: Annotated[str, "column of the texts that hold the answers"] = "context"
    answers_column: Annotated[str, "column of the answers: `text` and `answer_start`, both lists, empty for none"] = (
        "answers"
    )
    max_tokens: MaxTokens = 384
    stride: Annotated[int, "tokens that two windows of a text that is too long have in common"] = 128
    pretrained: Pretrained = True
    batch_size: BatchSize = 8
    train_split: TrainSplit = "train"
    validation_split: ValidationSplit = ""
    test_split: TestSplit = ""
    train_examples: TrainExamples = 0
    held_out_examples: HeldOutExamples = 1000

    def __post_init__(self) -> None:
        check(self, "max_tokens")
        if not 0 <= self.stride < self.max_tokens:
            raise ValueError(
                f"stride: must be at least 0 and less than max_tokens, {self.max_tokens}, got {self.stride}"
            )


@dataclass(frozen=True)
class TokenClassificationParams:
    """Parameters of the workload `token-classification`."""

    model: Model = "bert-base-uncased"
    data: Data = "unimelb-nlp/wikiann/en"
    tokens_column: Annotated[str, "column of the words, a list for each text"] = "tokens"
    tags_column: Annotated[str, "column of their labels, numbers or names"] = "ner_tags"
    outside: Annotated[str, "label of words that are nothing, which F1 leaves out"] = "O"
    labels: Labels = 0
    max_tokens: MaxTokens = 128
    pretrained: Pretrained = True
    batch_size: BatchSize = 8
    train_split: TrainSplit = "train"
    validation_split: ValidationSplit = ""
    test_split: TestSplit = ""
    train_examples: TrainExamples = 0
    held_out_examples: HeldOutExamples = 1000

    def __post_init__(self) -> None:
        check(self, "max_tokens")


@dataclass(frozen=True)
class ImageClassificationParams:
    """Parameters of the workload `image-classification`."""

    model: Model = "microsoft/resnet-50"
    data: Data = "uoft-cs/cifar10"
    image_column: Annotated[str, "column of the images"] = "img"
    label_column: Annotated[str, "column of their labels, numbers or names"] = "label"
    labels: Labels = 0
    image_size: ImageSize = 0
    augment: Annotated[bool, "train on random crops and mirror images"] = True
    pretrained: Pretrained = True
    batch_size: BatchSize = 8
    train_split: TrainSplit = "train"
    validation_split: ValidationSplit = ""
    test_split: TestSplit = ""
    train_examples: TrainExamples = 0
    held_out_examples: HeldOutExamples = 1000

    def __post_init__(self) -> None:
        check(self)


@dataclass(frozen=True)
class SegmentationParams:
    """Parameters of the workload `segmentation`."""

    model: Model = "nvidia/mit-b0"
    data: Data = "segments/sidewalk-semantic"
    image_column: Annotated[str, "column of the images"] = "pixel_values"
    mask_column: Annotated[str, "column of the masks: images whose pixels are numbers of labels"] = "label"
    ignored: Annotated[int, "value of a mask's pixels that have no label"] = 255
    labels: Labels = 0
    image_size: ImageSize = 0
    augment: Annotated[bool, "train on mirror images, half of the time"] = True
    pretrained: Pretrained = True
    batch_size: BatchSize = 8
    train_split: TrainSplit = "train"
    validation_split: ValidationSplit = ""
    test_split: TestSplit = ""
    train_examples: TrainExamples = 0
    held_out_examples: HeldOutExamples = 1000

    def __post_init__(self) -> None:
        check(self)


def check(params: Any, *lengths: str) -> None:
    """Refuse names that are empty and numbers that are too small.

    Raises:
        ValueError: names the parameter.
    """
    for name in ("model", "data", "train_split"):
        if not getattr(params, name):
            raise ValueError(f"{name}: must not be empty")
    for name, least in {**dict.fromkeys(lengths, 4), "batch_size": 1, "held_out_examples": 1}.items():
        if getattr(params, name) < least:
            raise ValueError(f"{name}: must be at least {least}, got {getattr(params, name)}")
    for name in ("train_examples", "labels", "image_size"):
        if getattr(params, name, 0) < 0:
            raise ValueError(f"{name}: must be at least 0, got {getattr(params, name)}")
    held_out = (params.validation_split, params.test_split)
    if params.train_split in held_out or (params.test_split and params.validation_split == params.test_split):
        raise ValueError(
            f"test_split: training, validation and test must be three splits, got {params.train_split}, "
            f"{params.validation_split} and {params.test_split}"
        )
