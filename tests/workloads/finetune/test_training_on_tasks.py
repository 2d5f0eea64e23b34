"""What a task trains on, is scored on and decays."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from workloads.finetune import tiny_models as tiny


def rows_of(workload: Any, part: str) -> set[str]:
    """The samples of a part."""
    samples = workload.encoded.samples(part, range(workload.encoded.size(part)))
    return set(map(str, samples))


@pytest.mark.parametrize("task", tiny.ABLE)
def test_parts_share_no_data(task: str, made: Callable[..., Any]) -> None:
    workload = made(task)
    parts = [rows_of(workload, part) for part in ("training", "validation", "test", "score")]
    assert all(parts)
    assert sum(map(len, parts)) == len(set.union(*parts))


def test_texts_with_several_questions_are_in_one_part(tmp_path: Path, made: Callable[..., Any]) -> None:
    rows = [row | {"question": word} for row in tiny.texts("question-answering", 80) for word in ("who", "where")]
    workload = made("question-answering", data=str(tiny.save_table(tmp_path / "qa.jsonl", rows)))
    parts = {}
    for part in ("training", "validation", "test", "score"):
        samples = workload.encoded.samples(part, range(workload.encoded.size(part)))
        parts[part] = {tuple(sample["input_ids"][3:]) for sample in samples if len(sample["input_ids"]) > 8}
    assert all(parts.values())
    assert not parts["training"] & (parts["validation"] | parts["test"] | parts["score"])


def test_batches_are_pure_and_epochs_are_shuffled_anew(made: Callable[..., Any]) -> None:
    first, second, other = made("image-classification"), made("image-classification"), made("image-classification", 1)
    for step in (0, 5, 40):
        one, same = first.batch(step)["pixel_values"], second.batch(step)["pixel_values"]
        assert torch.equal(one, same)
        assert not torch.equal(one, other.batch(step)["pixel_values"])


def test_evaluations_and_scores_are_not_augmented(made: Callable[..., Any]) -> None:
    plain, augmented = (
        made("image-classification", batch_size=2, augment=False),
        made("image-classification", batch_size=2),
    )
    assert torch.equal(plain.score_batch(0)["pixel_values"], augmented.score_batch(0)["pixel_values"])
    assert not torch.equal(plain.batch(0)["pixel_values"], augmented.batch(0)["pixel_values"])
    model = plain.model()
    assert plain.evaluate(model, "test") == augmented.evaluate(model, "test")


def test_a_mask_is_mirrored_with_its_image(made: Callable[..., Any]) -> None:
    workload = made("segmentation")
    sides = set()
    for step in range(4):
        batch = workload.batch(step)
        for image, mask in zip(batch["pixel_values"], batch["labels"], strict=True):
            bright, labelled = image.amax(0)[8] > 0, mask[8] > 0
            assert (bright == labelled).float().mean() > 0.7
            sides.add(bool(labelled[0]))
    assert sides == {True, False}


def test_evaluating_counts_every_token_once_whatever_the_batch(made: Callable[..., Any]) -> None:
    small, large = made(batch_size=3), made(batch_size=50)
    model = small.model().train()
    one, other = small.evaluate(model, "test"), large.evaluate(model, "test")
    assert one["loss"] == pytest.approx(other["loss"], rel=1e-5)
    assert one["accuracy"] == other["accuracy"]
    assert model.training
    with pytest.raises(ValueError, match="validation"):
        small.evaluate(model, "training")


def test_score_batches_end_with_the_reserve(made: Callable[..., Any]) -> None:
    workload = made(batch_size=2)
    n = workload.encoded.size("score") // 2
    assert n >= 1
    workload.score_batch(n - 1)
    with pytest.raises(IndexError):
        workload.score_batch(n)


def test_only_so_many_examples_are_used(made: Callable[..., Any]) -> None:
    encoded = made(train_examples=10, held_out_examples=2).encoded
    sizes = {part: encoded.size(part) for part in ("training", "validation", "test", "score")}
    assert sizes == {"training": 10, "validation": 2, "test": 2, "score": 2}


def test_what_is_used_of_sorted_data_comes_from_all_of_it(tmp_path: Path, made: Callable[..., Any]) -> None:
    words = sorted(tiny.WORDS[:20] * 40)
    rows = [{"document": f"{word} " * (2 + i % 7), "summary": word} for i, word in enumerate(words)]
    tables = {"train": rows, "validation": rows, "test": [{**row, "document": row["document"] + "a"} for row in rows]}
    for split, table in tables.items():
        tiny.save_table(tmp_path / f"{split}.jsonl", table)
    given = {"data": str(tmp_path), "train_examples": 100, "held_out_examples": 40}
    encoded, other = made(**given).encoded, made(seed=1, **given).encoded
    assert encoded.digest == other.digest
    for part, size in {"training": 100, "validation": 40, "test": 40}.items():
        found = [int(sample["target"][1]) for sample in encoded.samples(part, range(encoded.size(part)))]
        assert len(found) == size
        assert len(set(found)) > 12
        assert len(set(found[:10])) > 4


def test_rows_without_text_are_left_out(tmp_path: Path, made: Callable[..., Any]) -> None:
    rows = [*tiny.texts("summarization", 100), {"document": "a cat", "summary": ""}, {"document": None, "summary": "a"}]
    encoded = made(data=str(tiny.save_table(tmp_path / "gaps.jsonl", rows))).encoded
    assert sum(encoded.size(part) for part in ("training", "validation", "test", "score")) == 100


def test_answers_are_pointed_at_by_their_tokens(tmp_path: Path, made: Callable[..., Any]) -> None:
    text = "the cat sat on the mat in Rome under a blue house near the red log"
    answers = {"text": ["blue house"], "answer_start": [text.index("blue")]}
    none: dict[str, list[Any]] = {"text": [], "answer_start": []}
    rows = [{"question": "who sat", "context": text, "answers": each} for each in (answers, none)]
    rows += tiny.texts("question-answering", 60)
    workload = made("question-answering", data=str(tiny.save_table(tmp_path / "qa.jsonl", rows)), max_tokens=16)
    part = next(p for p in ("training", "validation", "test", "score") if text_in(workload, p, text))
    windows = text_in(workload, part, text)
    ids = [tiny.SPECIAL.__len__() + tiny.WORDS.index(word) for word in ("blue", "house")]
    found = [list(w["input_ids"][w["answer"][0] : w["answer"][1] + 1]) for w in windows]
    assert ids in found
    assert [list(w["answer"]) for w, each in zip(windows, found, strict=True) if each != ids] == [[0, 0]] * (
        len(windows) - found.count(ids)
    )
    assert len(windows) >= 4


def text_in(workload: Any, part: str, text: str) -> list[dict[str, Any]]:
    """The samples that are windows of a text: those that hold the word before its end."""
    wanted = [len(tiny.SPECIAL) + tiny.WORDS.index(word) for word in text.split()]
    samples: list[dict[str, Any]] = workload.encoded.samples(part, range(workload.encoded.size(part)))

    def inside(ids: list[int]) -> bool:
        body = ids[ids.index(2) + 1 : -1]
        return len(body) > 5 and any(wanted[i : i + len(body)] == body for i in range(len(wanted)))

    return [sample for sample in samples if inside(list(sample["input_ids"]))]


def test_only_the_first_token_of_a_word_is_labelled() -> None:
    from lrctl_workloads.finetune.token_classification import labels_of

    assert labels_of([None, 0, 0, 1, 2, 2, None], [5, 6, 7]) == [-100, 5, -100, 6, 7, -100, -100]


@pytest.mark.parametrize("task", tiny.ABLE)
def test_pieces_of_a_batch_weigh_as_much_as_what_counts_in_them(task: str, made: Callable[..., Any]) -> None:
    workload = made(task, batch_size=4)
    workload.prepare()
    model = workload.model().eval()
    batch = workload.batch(0)
    if batch.get("labels", torch.empty(0)).dim() > 1:
        batch["labels"][0, 3:] = 255 if task == "segmentation" else -100
    pieces = [{name: tensor[rows] for name, tensor in batch.items()} for rows in (slice(0, 1), slice(1, 4))]
    with torch.no_grad():
        whole = float(workload.loss(model, batch))
        weights = [workload.weight(piece) for piece in pieces]
        losses = [float(workload.loss(model, piece)) for piece in pieces]
    by_rows = task in ("image-classification", "question-answering")
    assert (weights == [1, 3]) if by_rows else (weights[1] > 4 * weights[0] > 0)
    assert np.average(losses, weights=weights) == pytest.approx(whole, rel=1e-5)


@pytest.mark.parametrize("task", tiny.ABLE)
def test_weight_decay_is_for_what_transformers_trainer_decays_but_batch_norms(
    task: str, made: Callable[..., Any]
) -> None:
    import re

    workload = made(task)
    model = workload.model()
    with_decay, without = workload.param_groups(model)
    # The rule of transformers' Trainer: no LayerNorm, and none of these names. Batch norms are ours.
    norms = {
        f"{prefix}.{name}" if prefix else name
        for prefix, module in model.named_modules()
        if isinstance(module, torch.nn.LayerNorm | torch.nn.BatchNorm2d)
        for name, _ in module.named_parameters()
    }
    forbidden = re.compile(r"bias|layernorm|rmsnorm|(?:^|\.)norm(?:$|\.)|_norm(?:$|\.)|layer_norm", re.IGNORECASE)
    expected = [p for name, p in model.named_parameters() if name not in norms and not forbidden.search(name)]
    assert {id(p) for p in with_decay["params"]} == {id(p) for p in expected}
    assert without["weight_decay"] == 0
    assert len(with_decay["params"]) + len(without["params"]) == len(list(model.parameters()))
