from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from lrctl.errors import MissingError, UsageError
from lrctl.recipe.workloads import load_workload
from lrctl_workloads.data.hub import Repository
from workloads.finetune import tiny_models as tiny

Folder = Callable[[str], Path]


@pytest.fixture
def made(model: Folder, data: Folder) -> Callable[..., Any]:
    """A workload of a task on the first of its models."""

    def make(task: str = "summarization", seed: int = 0, **changes: Any) -> Any:
        given = tiny.workload(task, model(tiny.ABLE[task][0]), data(task))
        return load_workload(task, given | changes, seed)

    return make


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


def test_two_checkpoints_in_one_place_are_two_contents(tmp_path: Path, model: Folder, made: Callable[..., Any]) -> None:
    from safetensors.torch import load_file, save_file

    folder = tmp_path / "model"
    shutil.copytree(model("bart"), folder)
    digests = [made(model=str(folder)).prepare(), made(model=str(folder), pretrained=False).prepare()]
    weights = load_file(folder / "model.safetensors")
    name = next(iter(weights))
    save_file(weights | {name: weights[name] + 1}, folder / "model.safetensors", {"format": "pt"})
    digests += [made(model=str(folder)).prepare(), made(model=str(folder), pretrained=False).prepare()]
    assert digests[1] == digests[3]
    assert len(set(digests)) == 3


def test_a_model_that_changes_after_it_was_prepared_is_not_trained(
    tmp_path: Path, model: Folder, made: Callable[..., Any]
) -> None:
    folder = tmp_path / "model"
    shutil.copytree(model("bart"), folder)
    workload = made(model=str(folder))
    workload.prepare()
    workload.model()
    (folder / "generation_config.json").write_text("{}")
    with pytest.raises(UsageError, match=r"workload.model: the files of .* changed while the search runs"):
        workload.model()


def test_a_workload_that_was_prepared_needs_its_data_no_more(tmp_path: Path, made: Callable[..., Any]) -> None:
    table = tiny.save_table(tmp_path / "texts.jsonl", tiny.texts("summarization", 120))
    workload = made(data=str(table))
    workload.prepare()
    before = workload.model().state_dict()
    table.unlink()
    assert all(torch.equal(tensor, before[name]) for name, tensor in workload.model().state_dict().items())


def test_a_folder_without_weights_can_only_be_trained_from_fresh_ones(
    tmp_path: Path, model: Folder, made: Callable[..., Any]
) -> None:
    shutil.copytree(model("bart"), tmp_path / "model", ignore=shutil.ignore_patterns("*.safetensors"))
    with pytest.raises(UsageError, match=r"holds no weights .* or set workload.pretrained=false"):
        made(model=str(tmp_path / "model")).prepare()
    assert made(model=str(tmp_path / "model"), pretrained=False).prepare()


def test_other_data_is_other_content(tmp_path: Path, made: Callable[..., Any]) -> None:
    table = tiny.save_table(tmp_path / "texts.jsonl", tiny.texts("summarization", 120))
    before = made(data=str(table)).prepare()
    tiny.save_table(table, tiny.texts("summarization", 120, seed=1))
    assert made(data=str(table)).prepare() != before


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


def test_only_so_many_examples_are_used(made: Callable[..., Any]) -> None:
    encoded = made(train_examples=10, held_out_examples=2).encoded
    sizes = {part: encoded.size(part) for part in ("training", "validation", "test", "score")}
    assert sizes == {"training": 10, "validation": 2, "test": 2, "score": 2}


def test_without_transformers_an_error_says_how_to_install_it(
    made: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(MissingError, match=r"transformers.*pip install 'lrctl\[transformers\]'"):
        made().prepare()


WRONG: dict[str, tuple[str, dict[str, Any], str]] = {
    "column": (
        "summarization",
        {"text_column": "documnt"},
        r"workload.text_column: .* 'documnt'; did you mean 'document'",
    ),
    "language": ("translation", {"source": "fr"}, r"workload.source: .*unknown language 'fr'"),
    "split": ("summarization", {"test_split": "tests"}, r"workload.test_split: .*unknown split 'tests'"),
    "training split": ("summarization", {"train_split": "training"}, r"workload.train_split: .*'training'.*'?train'?"),
    "model's name": ("summarization", {"model": "a/b/c"}, r"workload.model: 'a/b/c' is neither a folder nor a name"),
    "data's name": ("summarization", {"data": "xsum"}, r"workload.data: 'xsum' is neither a file, a folder nor"),
    "labels": ("token-classification", {"labels": 2}, r"label 'B-LOC' is more than the 2 labels"),
    "answers": ("question-answering", {"answers_column": "context"}, r"workload.answers_column: must hold the lists"),
    "stride": ("question-answering", {"max_tokens": 8, "stride": 7}, r"workload.max_tokens: 8 leave too little room"),
    "texts": ("summarization", {"data": "numbers"}, r"workload.text_column: 'document': must be a column of texts"),
    "little data": ("summarization", {"data": "little"}, r"leaves nothing for validation; give more rows"),
    "no images": (
        "image-classification",
        {"image_column": "label"},
        r"workload.image_column: must be a column of images",
    ),
    "masks": ("segmentation", {"mask_column": "pixel_values"}, r"workload.mask_column: .*one channel"),
}


@pytest.mark.parametrize(("task", "changes", "expected"), WRONG.values(), ids=WRONG)
def test_what_cannot_be_used_is_an_error_that_names_it(
    task: str, changes: dict[str, Any], expected: str, made: Callable[..., Any], tmp_path: Path
) -> None:
    tables = {
        "numbers": [{"document": 1, "summary": "a cat"}] * 50,
        "little": tiny.texts("summarization", 3),
    }
    if rows := tables.get(changes.get("data", "")):
        changes = {"data": str(tiny.save_table(tmp_path / "table.jsonl", rows))}
    with pytest.raises(UsageError, match=expected):
        made(task, **changes).prepare()


def test_a_model_of_another_kind_is_refused(model: Folder, made: Callable[..., Any]) -> None:
    with pytest.raises(UsageError, match="of the type vit, which cannot do summarization"):
        made(model=str(model("vit"))).prepare()


def test_a_file_of_another_kind_is_refused(tmp_path: Path, made: Callable[..., Any]) -> None:
    (tmp_path / "data.csv").write_text("document,summary\n")
    with pytest.raises(UsageError, match=r"must be a \.jsonl or a \.parquet file"):
        made(data=str(tmp_path / "data.csv")).prepare()


PARAMETERS: dict[str, tuple[str, dict[str, Any], str]] = {
    "batch": ("translation", {"batch_size": 0}, "batch_size: must be at least 1, got 0"),
    "length": ("translation", {"max_source_tokens": 1}, "max_source_tokens: must be at least 4"),
    "stride": ("question-answering", {"max_tokens": 8, "stride": 8}, "stride: must be at least 0 and less than"),
    "examples": ("segmentation", {"train_examples": -1}, "train_examples: must be at least 0"),
    "splits": ("segmentation", {"test_split": "train"}, "three splits"),
    "empty": ("segmentation", {"model": ""}, "model: must not be empty"),
}


@pytest.mark.parametrize(("task", "changes", "expected"), PARAMETERS.values(), ids=PARAMETERS)
def test_parameters_out_of_range_are_refused(task: str, changes: dict[str, Any], expected: str) -> None:
    with pytest.raises(UsageError, match=expected):
        load_workload(task, changes, 0)


def test_a_folder_keeps_the_splits_that_it_has(tmp_path: Path, made: Callable[..., Any]) -> None:
    for seed, split in enumerate(("train", "validation", "test")):
        tiny.save_table(tmp_path / f"{split}.jsonl", tiny.texts("summarization", 30, seed))
    encoded = made(data=str(tmp_path)).encoded
    assert encoded.size("training") + encoded.size("score") == 30
    assert (encoded.size("validation"), encoded.size("test")) == (30, 30)


def test_a_data_set_saved_to_disk_can_be_used(tmp_path: Path, made: Callable[..., Any]) -> None:
    from datasets import Dataset, DatasetDict

    rows = {"document": ["the cat sat on the mat"] * 9, "summary": ["the cat"] * 9}
    DatasetDict({split: Dataset.from_dict(rows) for split in ("train", "dev", "test")}).save_to_disk(tmp_path / "saved")
    encoded = made(data=str(tmp_path / "saved")).encoded
    assert [encoded.size(part) for part in ("training", "validation", "test")] == [9, 9, 9]


def test_damaged_samples_are_made_again(
    tmp_path: Path, made: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LRCTL_CACHE", str(tmp_path))
    before = made().prepare()
    (file,) = tmp_path.glob("*.arrow")
    content = file.read_bytes()
    for damaged in (content[:-400], content[:2000] + bytes(4) + content[2004:], b""):
        assert damaged != content
        file.write_bytes(damaged)
        assert made().prepare() == before
        assert file.read_bytes() == content
    assert {path.name for path in tmp_path.iterdir()} == {file.name, f"{file.name}.sha256"}


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


class FakeHub:
    """A hub with one model, whose files lie in a folder; counts what it is asked."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.asked, self.fetched = folder, 0, []  # type: tuple[Path, int, list[Any]]

    def repo_info(self, repo: str, **_: Any) -> Any:
        self.asked += 1
        assert repo == "own/tiny"
        files = [type("File", (), {"rfilename": path.name}) for path in self.folder.iterdir()]
        return type("Info", (), {"sha": "a" * 40, "siblings": files})

    def snapshot_download(self, repo: str, *, revision: str, local_files_only: bool = False, **how: Any) -> str:
        assert (repo, revision) == ("own/tiny", "a" * 40)
        if not local_files_only:
            self.fetched.append(how["allow_patterns"])
        return str(self.folder)


@pytest.fixture
def hub(model: Folder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeHub:
    """A hub with the model own/tiny, and a cache that knows nothing of it."""
    fake = FakeHub(model("bart"))
    monkeypatch.setenv("LRCTL_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("huggingface_hub.HfApi", lambda: fake)
    monkeypatch.setattr("huggingface_hub.snapshot_download", fake.snapshot_download)
    return fake


def test_a_model_of_the_hub_is_asked_for_once_and_its_commit_is_kept_to(hub: FakeHub, made: Callable[..., Any]) -> None:
    workload = made(model="own/tiny")
    assert not workload.ready()
    assert hub.asked == 0
    workload.stand_in(0)
    assert hub.fetched == [["*.json", "*.txt", "*.model", "*.tiktoken"]]
    digest = workload.prepare()
    assert hub.fetched[1][-1] == "*.safetensors"
    asked = hub.asked
    again = made(model="own/tiny")
    assert again.ready()
    assert again.prepare() == digest
    assert (hub.asked, len(hub.fetched)) == (asked, 2)


def test_without_the_hub_files_that_something_else_fetched_will_do(
    model: Folder, made: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: Any, **__: Any) -> Any:
        raise ConnectionError("no network")

    snapshot = tmp_path / ("c" * 40)
    shutil.copytree(model("bart"), snapshot)
    monkeypatch.setenv("LRCTL_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("huggingface_hub.HfApi.repo_info", fails)
    monkeypatch.setattr("huggingface_hub.snapshot_download", lambda *_, **__: str(snapshot))
    digest = made(model="own/tiny").prepare()
    assert made(model="own/tiny").ready()
    assert made(model="own/tiny@main").prepare() == digest
    (snapshot / "model.safetensors").unlink()
    with pytest.raises(MissingError, match="no network"):
        made(model="own/tiny@other").prepare()


def test_without_weights_none_are_fetched(hub: FakeHub, made: Callable[..., Any]) -> None:
    made(model="own/tiny", pretrained=False).prepare()
    assert all("*.safetensors" not in patterns for patterns in hub.fetched)


def test_the_hubs_data_is_loaded_at_its_commit(
    data: Folder, made: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import datasets

    monkeypatch.setenv("LRCTL_CACHE", str(tmp_path))
    about = type("Info", (), {"sha": "b" * 40})
    monkeypatch.setattr("huggingface_hub.HfApi.repo_info", lambda *_, **__: about)
    load, seen = datasets.load_dataset, []

    def stored(path: str, **how: Any) -> Any:
        seen.append((path, how))
        return load("json", data_files={"train": str(data("summarization"))}, streaming=True)

    monkeypatch.setattr("datasets.load_dataset", stored)
    made(data="own/texts/en").prepare()
    made(data="own/texts/en@refs/convert/parquet").prepare()
    made(data="own/texts/en").prepare()
    pinned = {"split": None, "revision": "b" * 40, "streaming": True}
    assert seen == [("own/texts", {**pinned, "name": "en"}), ("own/texts", {**pinned, "data_dir": "en"})]
    records = [json.loads(path.read_text()) for path in tmp_path.glob("hub-dataset-*.json")]
    assert {record["commit"] for record in records} == {"b" * 40}


@pytest.mark.parametrize("changes", [{"model": "own/tiny"}, {"data": "own/texts"}], ids=["model", "data"])
def test_what_the_hub_cannot_be_asked_for_is_missing(
    changes: dict[str, str], made: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: Any, **__: Any) -> Any:
        raise ConnectionError("no network")

    monkeypatch.setenv("LRCTL_CACHE", str(tmp_path))
    monkeypatch.setattr("huggingface_hub.HfApi.repo_info", fails)
    with pytest.raises(MissingError, match=r"'own/\w+' could not be fetched .* connect to the network"):
        made(**changes).prepare()


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


CODE: dict[str, tuple[str, dict[str, Any]]] = {
    "configuration": (
        "bart",
        {"model_type": "own", "auto_map": {"AutoConfig": "own.Config", "AutoModelForSeq2SeqLM": "own.Model"}},
    ),
    "model": ("bert", {"auto_map": {"AutoModelForSeq2SeqLM": "own.Model"}}),
}


@pytest.mark.parametrize("pretrained", [True, False], ids=["weights", "fresh"])
@pytest.mark.parametrize(("name", "changes"), CODE.values(), ids=CODE)
def test_code_that_a_model_brings_is_never_run(
    name: str,
    changes: dict[str, Any],
    pretrained: bool,
    tmp_path: Path,
    model: Folder,
    made: Callable[..., Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    folder = shutil.copytree(model(name), tmp_path / "model")
    about = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(about | changes))
    (folder / "own.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w').close()\nclass Config: pass\n")
    monkeypatch.setattr("transformers.dynamic_module_utils.HF_MODULES_CACHE", str(tmp_path / "modules"))
    monkeypatch.setattr("builtins.input", lambda *_: "y")
    with pytest.raises(UsageError, match=r"^workload.model: '.*/model' can only be used by running Python .* knows$"):
        made(model=str(folder), pretrained=pretrained).model()
    assert not (tmp_path / "ran").exists()


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


def test_a_folder_does_not_stand_for_the_hubs_data(
    tmp_path: Path, made: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LRCTL_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("huggingface_hub.HfApi.repo_info", lambda *_, **__: type("Info", (), {"sha": "b" * 40}))
    tiny.save_table(tmp_path / "own" / "texts" / "train.jsonl", tiny.texts("summarization", 120))
    monkeypatch.chdir(tmp_path)
    for name in ("own/texts@main", "own/texts/default"):
        with pytest.raises(UsageError, match=rf"'{name}' is meant for the hub, .* give it as \./own/texts"):
            made(data=name).prepare()
    assert made(data="./own/texts").prepare()


def test_a_commit_is_not_asked_for(hub: FakeHub, made: Callable[..., Any]) -> None:
    commit = "a" * 40
    for kind in ("model", "dataset"):
        assert Repository(kind, "own/tiny", commit, "workload.model").commit() == commit
    assert hub.asked == 0
    digest = made(model=f"own/tiny@{commit}").prepare()
    asked, fetched = hub.asked, len(hub.fetched)
    again = made(model=f"own/tiny@{commit}")
    assert again.ready()
    assert again.prepare() == digest
    assert (hub.asked, len(hub.fetched)) == (asked, fetched)
