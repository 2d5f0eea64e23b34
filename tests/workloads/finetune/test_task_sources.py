"""Where a task's model and data come from, and what is kept of them: files, folders, the hub."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from lrctl.errors import MissingError, UsageError
from lrctl_workloads.data.hub import Repository
from workloads.finetune import tiny_models as tiny
from workloads.finetune.tiny_models import Folder


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


def test_other_data_is_other_content(tmp_path: Path, made: Callable[..., Any]) -> None:
    table = tiny.save_table(tmp_path / "texts.jsonl", tiny.texts("summarization", 120))
    before = made(data=str(table)).prepare()
    tiny.save_table(table, tiny.texts("summarization", 120, seed=1))
    assert made(data=str(table)).prepare() != before


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
