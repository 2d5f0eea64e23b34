"""Question answering: where in a text the answer to a question stands."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from lrctl.errors import UsageError
from lrctl_workloads.data.hub import first_line
from lrctl_workloads.finetune.params import QuestionAnsweringParams
from lrctl_workloads.finetune.pretrained import Pretrained
from lrctl_workloads.finetune.sources import text_of
from lrctl_workloads.finetune.task import Batch, Counts, Generator, Labels, Random, Row, Sample
from lrctl_workloads.finetune.tensors import padded, random_tokens, share, text_inputs, token_columns


@dataclass(frozen=True)
class QuestionAnswering:
    """A model that points at the first and the last token of an answer.

    A text that is too long gives several samples: windows that overlap. Where a window does not hold the answer, or
    there is none, the model is to point at the first special token. A batch has `input_ids`, `attention_mask` and,
    if the tokenizer has them, `token_type_ids`, shape (rows, max_tokens), and `start_positions` and `end_positions`,
    shape (rows,), all int64.
    """

    params: QuestionAnsweringParams
    pretrained: Pretrained

    auto_class = "AutoModelForQuestionAnswering"
    model_types = "MODEL_FOR_QUESTION_ANSWERING_MAPPING_NAMES"
    outputs = 2
    columns = ("question_column", "context_column", "answers_column")

    @cached_property
    def tokenizer(self) -> Any:
        return self.pretrained.fast_tokenizer()

    def key(self, row: Row) -> bytes:
        """The text, which has several questions."""
        return text_of(row[self.params.context_column], "workload.context_column").encode()

    def encode(self, rows: list[Row], labels: Labels) -> list[list[Sample]]:  # noqa: ARG002 - there are none
        p = self.params
        questions = [text_of(row[p.question_column], "workload.question_column").lstrip() for row in rows]
        texts = [text_of(row[p.context_column], "workload.context_column") for row in rows]
        try:
            encoding = self.tokenizer(
                questions,
                texts,
                truncation="only_second",
                max_length=p.max_tokens,
                stride=p.stride,
                return_overflowing_tokens=True,
                return_offsets_mapping=True,
            )
        except BaseException as error:  # What a question leaves too little room for may even be a panic of Rust's.
            if isinstance(error, KeyboardInterrupt | SystemExit):
                raise
            raise UsageError(
                f"workload.max_tokens: {p.max_tokens} leave too little room for a text beside its question "
                f"({first_line(error)}); raise it, or lower workload.stride"
            ) from error
        samples: list[list[Sample]] = [[] for _ in rows]
        answers = [answer_of(row[p.answers_column]) for row in rows]
        for window, i in enumerate(encoding["overflow_to_sample_mapping"]):
            samples[i].append(self.sample(encoding, window, answers[i]))
        return samples

    def sample(self, encoding: Any, window: int, answer: tuple[int, int] | None) -> Sample:
        ids = encoding["input_ids"][window]
        inside = [i for i, sequence in enumerate(encoding.sequence_ids(window)) if sequence == 1]
        special = self.tokenizer.cls_token_id
        none = ids.index(special) if special in ids else 0
        first, last = span(encoding["offset_mapping"][window], inside, answer) or (none, none)
        return token_columns(encoding, window) | {"answer": [first, last]}

    def batch(self, samples: list[Sample], random: Random | None) -> Batch:  # noqa: ARG002 - as it is
        answers = padded([sample["answer"] for sample in samples], 2, 0)
        tokens = text_inputs(samples, self.params.max_tokens, self.tokenizer)
        return tokens | {"start_positions": answers[:, 0], "end_positions": answers[:, 1]}

    def stand_in(self, config: Any, labels: int, random: Generator) -> Batch:  # noqa: ARG002
        import torch

        n, length = self.params.batch_size, self.params.max_tokens
        ids = random_tokens(config, (n, length), random)
        places = torch.randint(length, (n,), generator=random)
        return {"input_ids": ids, "attention_mask": ids * 0 + 1, "start_positions": places, "end_positions": places}

    def inputs(self, model: Any, batch: Batch) -> Mapping[str, Any]:  # noqa: ARG002
        return batch

    def counts(self, output: Any, batch: Batch, names: tuple[str, ...]) -> Counts:  # noqa: ARG002
        """Windows, those answered to the token, and how much of the answers was found."""
        import torch

        start, end = output.start_logits.argmax(-1), output.end_logits.argmax(-1)
        first, last = batch["start_positions"], batch["end_positions"]
        common = (torch.minimum(end, last) - torch.maximum(start, first) + 1).clamp(min=0)
        lengths = (end - start + 1).clamp(min=0) + last - first + 1
        exact = (start == first) & (end == last)
        return {"n": torch.tensor(len(start)), "exact": exact.sum(), "f1": (2.0 * common / lengths).sum()}

    def metrics(self, counts: Counts) -> dict[str, float]:
        """`exact_match` and the mean `f1` of the answers' tokens, over windows."""
        return {"exact_match": share(counts["exact"], counts["n"]), "f1": share(counts["f1"], counts["n"])}


def answer_of(answers: Any) -> tuple[int, int] | None:
    """Where the first answer begins and ends in the text, in characters; None if there is none."""
    try:
        texts, starts = answers["text"], answers["answer_start"]
        return (int(starts[0]), int(starts[0]) + len(texts[0])) if len(texts) else None
    except (KeyError, TypeError, IndexError, ValueError) as error:
        raise UsageError(
            "workload.answers_column: must hold the lists `text` and `answer_start`, as in SQuAD, got "
            f"{str(answers)[:60]!r}"
        ) from error


def span(offsets: list[tuple[int, int]], inside: list[int], answer: tuple[int, int] | None) -> tuple[int, int] | None:
    """The first and last token of the answer; None if it is not wholly in these tokens of the text."""
    if answer is None or not inside or offsets[inside[0]][0] > answer[0] or offsets[inside[-1]][1] < answer[1]:
        return None
    first = next(i for i in reversed(inside) if offsets[i][0] <= answer[0])
    return first, next(i for i in inside if offsets[i][1] >= answer[1])
