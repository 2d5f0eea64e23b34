from __future__ import annotations

import sys
from pathlib import Path

import pytest
import tiktoken

from lrctl.errors import MissingError, UsageError
from lrctl_workloads.text import tokenizer
from lrctl_workloads.text.corpus import Corpus
from lrctl_workloads.text.tokenizer import VOCABULARIES, encoding, vocabulary
from lrctl_workloads.text.windows import byte_lengths

ODD = "naïve \N{SNOWMAN}\t  don't\r\n\x00 1860s… <|endoftext|> \N{GRINNING FACE}"


@pytest.mark.parametrize(("name", "size"), [("bytes", 257), ("bpe:257", 257), ("bpe:300", 300)])
def test_text_comes_back_from_its_tokens(name: str, size: int, folder: Path) -> None:
    ours = encoding(name, Corpus(str(folder)))
    assert ours.n_vocab == size == vocabulary(name)
    assert ours.eot_token == size - 1
    assert ours.decode(ours.encode_ordinary(ODD)) == ODD


@pytest.mark.parametrize("name", ["bytes", "bpe:300"])
def test_token_lengths_add_up_to_the_bytes_of_the_text(name: str, folder: Path) -> None:
    ours = encoding(name, Corpus(str(folder)))
    lengths = byte_lengths(ours)
    assert lengths[ours.encode_ordinary(ODD)].sum() == len(ODD.encode())
    assert lengths[ours.eot_token] == 0


def test_bytes_are_their_own_tokens() -> None:
    assert encoding("bytes", Corpus("unused")).encode_ordinary(ODD) == list(ODD.encode())


def test_bpe_ids_equal_those_of_the_tokenizers_package(folder: Path, documents: list[str]) -> None:
    tokenizers = pytest.importorskip("tokenizers")
    byte_level = tokenizers.pre_tokenizers.ByteLevel
    theirs = tokenizers.Tokenizer(tokenizers.models.BPE())
    theirs.pre_tokenizer = byte_level(add_prefix_space=False)
    trainer = tokenizers.trainers.BpeTrainer(
        vocab_size=299, initial_alphabet=byte_level.alphabet(), show_progress=False
    )
    theirs.train_from_iterator(documents, trainer)
    ours = encoding("bpe:300", Corpus(str(folder)))
    for text in [*documents, ODD]:
        assert ours.encode_ordinary(text) == theirs.encode(text).ids


def test_bpe_is_trained_once(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = encoding("bpe:300", Corpus(str(folder)))
    monkeypatch.setattr(tokenizer, "train_bpe", None)
    again = encoding("bpe:300", Corpus(str(folder)))
    assert again.token_byte_values() == first.token_byte_values()


@pytest.mark.parametrize("name", ["bpe:", "bpe:256", "bpe:-1", "bpe:1e3", "bpe:1024 ", "bpe:99999999999"])
def test_a_bad_bpe_size_is_a_usage_error(name: str) -> None:
    with pytest.raises(UsageError, match=rf"'{name}': the size must be a whole number of at least 257"):
        encoding(name, Corpus("unused"))


def test_a_corpus_too_small_for_the_bpe_is_a_usage_error(folder: Path) -> None:
    with pytest.raises(UsageError, match=r"'bpe:5000': the corpus gives only \d+ tokens; ask for no more"):
        encoding("bpe:5000", Corpus(str(folder)))


def test_an_unknown_tokenizer_is_a_usage_error() -> None:
    with pytest.raises(UsageError, match=r"unknown tokenizer 'gpt3'; choose from: bytes, bpe:SIZE .*gpt2"):
        encoding("gpt3", Corpus("unused"))


def test_without_the_tokenizers_package_the_error_says_what_to_install(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "tokenizers", None)
    with pytest.raises(MissingError, match=r"'bpe:300' needs the tokenizers package; run: pip install 'lrctl\[qui"):
        encoding("bpe:300", Corpus(str(folder)))


@pytest.mark.parametrize("error", [ConnectionError("no route"), ValueError("hash mismatch")])
def test_ranks_that_cannot_be_had_are_a_usage_error(error: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    def offline(_: str) -> tiktoken.Encoding:
        raise error

    monkeypatch.setattr(tiktoken, "get_encoding", offline)
    monkeypatch.setattr(tokenizer, "packaged_ranks", lambda: None)
    with pytest.raises(MissingError, match=r"ranks of 'gpt2' could not be downloaded .*TIKTOKEN_CACHE_DIR"):
        encoding("gpt2", Corpus("unused"))


def test_a_name_of_tiktokens_gives_its_encoding(monkeypatch: pytest.MonkeyPatch) -> None:
    ready = tokenizer.from_ranks("gpt2", {bytes([byte]): byte for byte in range(256)})
    monkeypatch.setattr(tiktoken, "get_encoding", {"gpt2": ready}.__getitem__)
    monkeypatch.setattr(tokenizer, "packaged_ranks", lambda: None)
    assert encoding("gpt2", Corpus("unused")) is ready


def test_the_vocabularies_of_tiktokens_encodings_are_all_known() -> None:
    assert sorted(VOCABULARIES) == sorted(tiktoken.list_encoding_names())


def test_a_vocabulary_is_known_without_its_ranks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tokenizer, "tiktoken_encoding", None)
    assert vocabulary("gpt2") == 50257
    assert vocabulary("cl100k_base") == 100277


def test_the_vocabulary_of_an_unknown_tokenizer_is_a_usage_error() -> None:
    with pytest.raises(UsageError, match="unknown tokenizer 'gpt3'"):
        vocabulary("gpt3")
