"""What a task cannot be trained with: each mistake is a sentence."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lrctl.errors import MissingError, UsageError
from lrctl.recipe.workloads import load_workload
from workloads.finetune import tiny_models as tiny
from workloads.finetune.tiny_models import Folder


def test_a_folder_without_weights_can_only_be_trained_from_fresh_ones(
    tmp_path: Path, model: Folder, made: Callable[..., Any]
) -> None:
    shutil.copytree(model("bart"), tmp_path / "model", ignore=shutil.ignore_patterns("*.safetensors"))
    with pytest.raises(UsageError, match=r"holds no weights .* or set workload.pretrained=false"):
        made(model=str(tmp_path / "model")).prepare()
    assert made(model=str(tmp_path / "model"), pretrained=False).prepare()


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
