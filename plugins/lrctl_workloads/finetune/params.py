"""Parameters of the six tasks, and what is wrong with some values of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

Model = Annotated[
    str, "model of the Hugging Face hub, such as t5-base or OWNER/NAME, either with @REVISION; or a folder"
]
Data = Annotated[
    str,
    "data set of the hub: OWNER/NAME or OWNER/NAME/CONFIG, either with @REVISION; or a .jsonl or .parquet file, or a "
    "folder",
]
Labels = Annotated[int, "how many labels there are; 0: as many as the data names or has"]
MaxTokens = Annotated[int, "every sample is cut or padded to so many tokens"]
Prefix = Annotated[str, "text put before every source, such as 'summarize: ' for T5"]
ImageSize = Annotated[int, "height and width of the model's input; 0: as the model's processor says"]

LEAST = {
    "batch_size": 1,
    "held_out_examples": 1,
    "train_examples": 0,
    "max_tokens": 4,
    "max_source_tokens": 4,
    "max_target_tokens": 4,
    "labels": 0,
    "image_size": 0,
}
"""The least values of the parameters that have one."""


@dataclass(frozen=True, kw_only=True)
class TaskParams:
    model: Model
    data: Data
    pretrained: Annotated[bool, "start from the model's weights; false: from fresh ones"] = True
    batch_size: Annotated[int, "rows in a batch; a question with a long text has a row for each window of it"] = 8
    train_split: Annotated[str, "split to train on"] = "train"
    validation_split: Annotated[str, "split to choose by; empty: the usual one, else 1/20 of the training split"] = ""
    test_split: Annotated[str, "split that is only reported; empty: the usual one, else 1/20 of the training split"] = (
        ""
    )
    train_examples: Annotated[int, "at most so many examples to train on, from all over the split; 0: all"] = 0
    held_out_examples: Annotated[
        int, "at most so many examples for each of validation, test and scoring, from all over their splits"
    ] = 1000

    def __post_init__(self) -> None:
        for name in ("model", "data", "train_split"):
            if not getattr(self, name):
                raise ValueError(f"{name}: must not be empty")
        for name, least in LEAST.items():
            if getattr(self, name, least) < least:
                raise ValueError(f"{name}: must be at least {least}, got {getattr(self, name)}")
        held_out = (self.validation_split, self.test_split)
        if self.train_split in held_out or (self.test_split and self.validation_split == self.test_split):
            raise ValueError(
                f"test_split: training, validation and test must be three splits, got {self.train_split}, "
                f"{self.validation_split} and {self.test_split}"
            )


@dataclass(frozen=True, kw_only=True)
class TranslationParams(TaskParams):
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


@dataclass(frozen=True, kw_only=True)
class SummarizationParams(TaskParams):
    model: Model = "t5-base"
    data: Data = "EdinburghNLP/xsum"
    text_column: Annotated[str, "column of the texts"] = "document"
    summary_column: Annotated[str, "column of their summaries"] = "summary"
    prefix: Prefix = "summarize: "
    max_source_tokens: MaxTokens = 512
    max_target_tokens: MaxTokens = 64


@dataclass(frozen=True, kw_only=True)
class QuestionAnsweringParams(TaskParams):
    model: Model = "bert-base-uncased"
    data: Data = "rajpurkar/squad"
    question_column: Annotated[str, "column of the questions"] = "question"
    context_column: Annotated[str, "column of the texts that hold the answers"] = "context"
    answers_column: Annotated[str, "column of the answers: `text` and `answer_start`, both lists, empty for none"] = (
        "answers"
    )
    max_tokens: MaxTokens = 384
    stride: Annotated[int, "tokens that two windows of a text that is too long have in common"] = 128

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 <= self.stride < self.max_tokens:
            raise ValueError(
                f"stride: must be at least 0 and less than max_tokens, {self.max_tokens}, got {self.stride}"
            )


@dataclass(frozen=True, kw_only=True)
class TokenClassificationParams(TaskParams):
    model: Model = "bert-base-uncased"
    data: Data = "unimelb-nlp/wikiann/en"
    tokens_column: Annotated[str, "column of the words, a list for each text"] = "tokens"
    tags_column: Annotated[str, "column of their labels, numbers or names"] = "ner_tags"
    outside: Annotated[str, "label of words that are nothing, which F1 leaves out"] = "O"
    labels: Labels = 0
    max_tokens: MaxTokens = 128


@dataclass(frozen=True, kw_only=True)
class ImageClassificationParams(TaskParams):
    model: Model = "microsoft/resnet-50"
    data: Data = "uoft-cs/cifar10"
    image_column: Annotated[str, "column of the images"] = "img"
    label_column: Annotated[str, "column of their labels, numbers or names"] = "label"
    labels: Labels = 0
    image_size: ImageSize = 0
    augment: Annotated[bool, "train on random crops and mirror images"] = True


@dataclass(frozen=True, kw_only=True)
class SegmentationParams(TaskParams):
    model: Model = "nvidia/mit-b0"
    data: Data = "segments/sidewalk-semantic"
    image_column: Annotated[str, "column of the images"] = "pixel_values"
    mask_column: Annotated[str, "column of the masks: images whose pixels are numbers of labels"] = "label"
    ignored: Annotated[int, "value of a mask's pixels that have no label"] = 255
    labels: Labels = 0
    image_size: ImageSize = 0
    augment: Annotated[bool, "train on mirror images, half of the time"] = True
