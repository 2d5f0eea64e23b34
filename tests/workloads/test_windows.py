from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from lrctl.errors import UsageError
from lrctl_workloads.text import windows as text
from lrctl_workloads.text.corpus import Corpus
from lrctl_workloads.text.windows import tokens, windows


@pytest.mark.parametrize("n", [20, 39, 400, 1280, 5000, 100_000])
def test_every_window_is_in_one_part(n: int) -> None:
    parts = windows(np.arange(n * 5 + 3, dtype=np.uint32), context=4, batch_size=1).parts
    assert sorted(parts) == ["score", "test", "training", "validation"]
    np.testing.assert_array_equal(np.sort(np.concatenate(list(parts.values()))), np.arange(n))
    assert 0.8 <= len(parts["training"]) / n <= 0.92


def test_windows_share_no_token_and_keep_the_order() -> None:
    rows = windows(np.arange(1003, dtype=np.uint32), context=4, batch_size=1).rows
    np.testing.assert_array_equal(rows.ravel(), np.arange(1000))


@pytest.mark.parametrize(("n", "block"), [(20, 1), (399, 19), (1280, 64), (100_000, 64)])
def test_parts_are_made_of_long_blocks_all_over_the_corpus(n: int, block: int) -> None:
    part = windows(np.zeros(n * 5, np.uint16), context=4, batch_size=1).parts["test"]
    starts = part[np.flatnonzero(np.diff(part, prepend=-2) != 1)]
    np.testing.assert_array_equal(np.diff(starts), 20 * block)
    assert starts[0] == 17 * block
    assert np.all(np.diff(part)[: block - 1] == 1)


def test_a_shorter_spread_is_the_start_of_a_longer_one_and_covers_the_part() -> None:
    cut = windows(np.zeros(100_000 * 5, np.uint16), context=4, batch_size=1)
    long = cut.shuffled("test", 10**9)
    assert sorted(long) == list(cut.parts["test"])
    np.testing.assert_array_equal(cut.shuffled("test", 50), long[:50])
    assert np.ptp(long[:50]) > 80_000


@pytest.mark.parametrize(
    ("n", "found"), [(0, "0 windows of 5 for"), (19, "0 windows of 5 for"), (150, "1 windows of 5 for")]
)
def test_a_corpus_too_short_for_a_batch_in_each_part_is_a_usage_error(n: int, found: str) -> None:
    with pytest.raises(UsageError, match=rf"too short: its {n} tokens give {found} .*one batch needs 2; take"):
        windows(np.zeros(n, np.uint16), context=4, batch_size=2)


@pytest.mark.parametrize("name", ["bytes", "bpe:300"])
def test_a_cached_text_is_not_tokenised_again(name: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = tokens(Corpus(str(folder)), name)
    monkeypatch.setattr(text, "encoding", None)
    again = tokens(Corpus(str(folder)), name)
    assert again.digest == first.digest
    np.testing.assert_array_equal(again.ids, first.ids)


def test_a_truncated_token_file_is_made_again(folder: Path, cache_folder: Path) -> None:
    first = tokens(Corpus(str(folder)), "bytes")
    before = first.ids.tolist()
    (path,) = cache_folder.glob("tokens-*.npy")
    # A new file of that name: what is mapped already must stay as it is.
    content = path.read_bytes()
    path.unlink()
    path.write_bytes(content[:-2])
    again = tokens(Corpus(str(folder)), "bytes")
    assert again.ids.tolist() == before
    assert again.digest == first.digest


def test_an_empty_corpus_is_a_usage_error(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("")
    with pytest.raises(UsageError, match=r"a\.txt' holds no text; give a corpus that is not empty"):
        tokens(Corpus(str(tmp_path / "a.txt")), "bytes")


def test_the_same_documents_from_a_table_have_the_same_digest(
    folder: Path, tmp_path: Path, documents: list[str]
) -> None:
    import json

    table = tmp_path / "a.jsonl"
    table.write_text("".join(json.dumps({"text": document}) + "\n" for document in documents))
    ours, theirs = tokens(Corpus(str(folder)), "bpe:300"), tokens(Corpus(str(table)), "bpe:300")
    np.testing.assert_array_equal(ours.ids, theirs.ids)
    assert ours.digest == theirs.digest
