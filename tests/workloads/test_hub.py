"""Text of the hub, without a hub: its one question and its stream are answered from local files."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import datasets
import huggingface_hub
import numpy as np
import pytest
from huggingface_hub.errors import OfflineModeIsEnabled, RepositoryNotFoundError

from lrctl.contracts.workload import StandIn
from lrctl.errors import MissingError, UsageError
from lrctl_workloads.data.hub import HubDataset, Repository
from lrctl_workloads.text import token_file
from lrctl_workloads.text.corpus import Corpus
from lrctl_workloads.text.gpt import Gpt, GptParams
from lrctl_workloads.text.windows import tokens

FIRST, SECOND = "a" * 40, "b" * 40
PATH = "hub:owner/name/config"


@dataclass
class FakeHub:
    """Answers as the hub would, and keeps what it was asked."""

    shard: Path
    main: str = FIRST
    error: Exception | None = None
    lost_at: int | None = None
    asked: list[str | None] = field(default_factory=list)
    opened: list[tuple[Any, ...]] = field(default_factory=list)
    skipped: list[int] = field(default_factory=list)

    def repo_info(self, repo: str, *, repo_type: str, revision: str | None, timeout: float) -> SimpleNamespace:
        assert (repo, repo_type) == ("owner/name", "dataset")
        assert timeout <= 10
        self.asked.append(revision)
        if self.error:
            raise self.error
        return SimpleNamespace(sha=self.main if revision in (None, "main") else revision)

    def load_dataset(self, repo: str, **how: Any) -> Stream:
        self.opened.append((repo, how))
        return Stream(self, real(str(self.shard)))


@dataclass
class Stream:
    """The library's stream of a local file; the line may go dead."""

    hub: FakeHub
    rows: Any

    def skip(self, n: int) -> Stream:
        self.hub.skipped.append(n)
        return Stream(self.hub, self.rows.skip(n))

    def __iter__(self) -> Iterator[dict[str, Any]]:
        for row in self.rows:
            if row["id"] == self.hub.lost_at:
                raise ConnectionError("the line is dead")
            yield row


def real(path: str, load: Callable[..., Any] = datasets.load_dataset) -> Any:
    return load("json", data_files=[path], split="train", streaming=True)


@pytest.fixture
def hub(tmp_path: Path, documents: list[str], monkeypatch: pytest.MonkeyPatch) -> FakeHub:
    shard = tmp_path / "shard.jsonl"
    shard.write_text("".join(json.dumps({"id": i, "text": text}) + "\n" for i, text in enumerate(documents)))
    fake = FakeHub(shard)
    monkeypatch.setattr(huggingface_hub, "HfApi", lambda: fake)
    monkeypatch.setattr(datasets, "load_dataset", fake.load_dataset)
    return fake


@pytest.mark.parametrize(
    ("path", "repo", "config", "revision"),
    [
        ("hub:a/b", "a/b", "", ""),
        ("hub:Salesforce/wikitext/wikitext-103-raw-v1", "Salesforce/wikitext", "wikitext-103-raw-v1", ""),
        ("hub:a/b@v1.0", "a/b", "", "v1.0"),
        (f"hub:a/b/c@{FIRST}", "a/b", "c", FIRST),
        ("hub:a/b@refs/convert/parquet", "a/b", "", "refs/convert/parquet"),
    ],
)
def test_a_name_of_the_hub_tells_data_set_configuration_and_revision(
    path: str, repo: str, config: str, revision: str
) -> None:
    assert Corpus(path).hub == HubDataset(Repository("dataset", repo, revision, path), config)


@pytest.mark.parametrize("path", ["hub:", "hub:a", "hub:a/b/c/d", "hub:a/b@", "hub:a/../b c", "hub:/a/b"])
def test_another_form_of_name_is_a_usage_error(path: str) -> None:
    with pytest.raises(UsageError, match=r"a data set of the hub, OWNER/NAME .* write it as in Salesforce"):
        _ = Corpus(path).digest


def test_text_of_the_hub_gives_the_same_tokens_as_a_local_file(hub: FakeHub, folder: Path) -> None:
    np.testing.assert_array_equal(tokens(Corpus(PATH), "bpe:300").ids, tokens(Corpus(str(folder)), "bpe:300").ids)
    how = {"name": "config", "split": "train", "streaming": True, "revision": FIRST}
    assert hub.opened
    assert all(opened == ("owner/name", how) for opened in hub.opened)


def test_a_conversion_of_the_hub_has_a_folder_for_each_configuration(hub: FakeHub) -> None:
    tokens(Corpus(f"{PATH}@refs/convert/parquet"), "bytes")
    ((_, how),) = hub.opened
    assert how == {"data_dir": "config", "split": "train", "streaming": True, "revision": "refs/convert/parquet"}


def test_what_is_fetched_needs_no_network_any_more(hub: FakeHub) -> None:
    first = tokens(Corpus(PATH), "bytes")
    hub.error = ConnectionError("offline")
    hub.asked.clear()
    assert tokens(Corpus(PATH), "bytes").digest == first.digest
    assert hub.asked == []


def test_a_data_set_stays_at_the_commit_it_was_first_used_at(hub: FakeHub) -> None:
    before = Corpus(PATH).digest
    hub.main = SECOND
    assert Corpus(PATH).digest == before
    assert Corpus(f"{PATH}@main").digest != before


def test_a_commit_needs_no_question_to_be_known(hub: FakeHub) -> None:
    assert Corpus(f"{PATH}@{SECOND}").digest != Corpus(PATH).digest
    assert hub.asked == [None]


OUT_OF_REACH = [ConnectionError("no route"), OfflineModeIsEnabled("offline mode"), TimeoutError("10 s"), Exception()]


@pytest.mark.parametrize("error", OUT_OF_REACH, ids=lambda error: type(error).__name__)
def test_a_hub_out_of_reach_is_said_at_once(error: Exception, hub: FakeHub) -> None:
    hub.error = error
    with pytest.raises(MissingError, match=rf"'{PATH}' could not be fetched from the hub \({type(error).__name__}.*"):
        tokens(Corpus(PATH), "bytes")
    assert len(hub.asked) == 1
    assert hub.opened == []


def test_a_known_data_set_asks_once_before_it_streams(hub: FakeHub) -> None:
    hub.error = ConnectionError("no route")
    with pytest.raises(MissingError, match=r"could not be fetched .*give the same command again"):
        tokens(Corpus(f"{PATH}@{FIRST}"), "bytes")
    assert hub.opened == []


def test_a_data_set_that_is_not_there_is_a_usage_error(hub: FakeHub) -> None:
    answer = SimpleNamespace(headers={}, request=None, status_code=404)
    hub.error = RepositoryNotFoundError("404", response=answer)  # type: ignore[arg-type]
    with pytest.raises(UsageError, match=r"no such dataset or revision .*; check the name") as caught:
        tokens(Corpus(PATH), "bytes")
    assert not isinstance(caught.value, MissingError)


def test_a_configuration_that_is_not_there_is_a_usage_error(hub: FakeHub, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise ValueError("BuilderConfig 'config' not found. Available: ['a', 'b']\nmore")

    monkeypatch.setattr(datasets, "load_dataset", refuse)
    with pytest.raises(UsageError, match=r"cannot be used \(ValueError: Build.*\['a', 'b'\]\); check the name"):
        tokens(Corpus(PATH), "bytes")
    assert hub.asked == [None, FIRST]


def test_a_lost_line_costs_one_piece(
    hub: FakeHub, folder: Path, monkeypatch: pytest.MonkeyPatch, documents: list[str]
) -> None:
    monkeypatch.setattr(token_file, "PIECE", sum(len(text.encode()) + 1 for text in documents[:7]))
    hub.lost_at = 10
    with pytest.raises(MissingError, match=r"the line is dead\); connect .* give the same command again"):
        tokens(Corpus(PATH), "bytes")
    hub.lost_at, hub.main = None, SECOND
    found = tokens(Corpus(PATH), "bytes")
    assert hub.skipped == [7]
    np.testing.assert_array_equal(found.ids, tokens(Corpus(str(folder)), "bytes").ids)


def test_a_workload_works_without_its_text_until_it_is_fetched(hub: FakeHub) -> None:
    hub.error = ConnectionError("a dry run fetches nothing")
    params = GptParams(path=PATH, tokenizer="bytes", max_tokens=60_000, d_model=16, heads=2, context=15, batch_size=4)
    gpt = Gpt(params, seed=3)
    assert isinstance(gpt, StandIn)
    assert not gpt.ready()
    assert gpt.prepared_bytes() == 120_000
    model = gpt.model()
    assert not model.get_parameter("output_bias").any()
    assert float(gpt.loss(model, gpt.stand_in(0)).detach()) == pytest.approx(np.log(257), abs=0.1)
    assert hub.asked == []
    hub.error = None
    gpt.prepare()
    fetched = Gpt(params, seed=3)
    for each in (gpt, fetched):
        assert each.ready()
        assert each.prepared_bytes() == 0
        assert each.model().get_parameter("output_bias").any()
    assert len(fetched.tokens.ids) == 60_000


def test_a_folder_does_not_stand_for_a_data_set_of_the_hub(
    hub: FakeHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "owner" / "name").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError, match=r"there is a folder owner/name here; rename it, or give it as \./owner/name"):
        tokens(Corpus(PATH), "bytes")
    assert hub.opened == []
