"""GPT-2's tokens: those of a sample as tiktoken's own ranks give them, tested without these ranks and with them."""

from __future__ import annotations

import pytest
import tiktoken

from lrctl.errors import MissingError
from lrctl_workloads.text.tokenizer import END, VOCABULARIES, from_ranks, packaged_ranks, spelling, tiktoken_encoding

SAMPLES = {
    "hello world": [31373, 995],
    # Contractions of both cases, runs of spaces and line ends, digits, accents, a dash, Japanese, an emoji.
    "The semi-local search isn't greedy, we'LL say:  LR=0.001\n\n\tdef f(x):  # naïve café — 日本 1860s 🤗  ": [
        *(464, 10663, 12, 12001, 2989, 2125, 470, 31828, 11, 356, 6, 3069, 910, 25, 220, 37491, 28, 15, 13, 8298, 628),
        *(197, 4299, 277, 7, 87, 2599, 220, 1303, 41492, 40304, 851, 10545, 245, 98, 17312, 105, 37637, 82),
        *(12520, 97, 245, 220, 220),
    ],
}
"""Text -> its ids by the file of ranks whose digest tiktoken asks for."""

MERGED: dict[int, str | bytes] = {
    258: "he", 260: "re", 264: " s", 266: " w", 269: " c", 271: "is", 273: "or", 276: "ed", 277: " f", 282: "al",
    283: "ar", 297: "ll", 299: " n", 303: "ve", 308: " g", 318: " is", 323: "ay", 335: "ld", 352: " 1", 354: "ch",
    356: " we", 368: "em", 384: " se", 405: "00", 406: " L", 420: "oc", 447: b"\xe2\x80", 464: "The", 470: "'t",
    476: " wor", 564: b" \xe2\x80", 628: "\n\n", 851: " —", 891: "ef", 910: " say", 995: " world", 998: "arch",
    1248: " 18", 1275: " ca", 1303: " #", 1899: "60", 2125: " isn", 2599: "):", 2634: "é", 2989: " search", 3069: "LL",
    4299: "def", 4374: "ocal", 4716: "edy", 5026: " sem", 8298: "001", 8582: b"\xf0\x9f", 10536: " gre",
    10545: b" \xe6", 10663: " semi", 12001: "local", 12385: " na", 12520: b" \xf0\x9f", 12758: "hell",
    17312: b"\xe6\x9c", 19945: " caf", 26884: "ï", 31373: "hello", 31828: " greedy", 37491: " LR", 37637: " 1860",
    38776: "ïve", 40304: " café", 41492: " naïve",
}  # fmt: skip
"""All of GPT-2's tokens that arise on the way to those of the samples, but for single bytes."""


def excerpt() -> tiktoken.Encoding:
    """GPT-2's encoding with no more tokens than the samples need: the same merges happen in the same order."""
    ranks = {bytes([byte]): rank for rank, byte in enumerate(spelling().values())}
    ranks |= {text if isinstance(text, bytes) else text.encode(): rank for rank, text in MERGED.items()}
    ours = from_ranks("gpt2", ranks)
    assert ours.eot_token == len(ranks)
    return ours


def full() -> tiktoken.Encoding:
    """GPT-2's encoding, from an installed package or the folder that TIKTOKEN_CACHE_DIR names."""
    import os

    if packaged_ranks() is None and not os.environ.get("TIKTOKEN_CACHE_DIR"):
        pytest.skip("needs GPT-2's ranks: pip install --no-deps mlx-whisper, or set TIKTOKEN_CACHE_DIR")
    try:
        return tiktoken_encoding("gpt2")
    except MissingError as error:
        pytest.skip(str(error))


@pytest.mark.parametrize("text", SAMPLES)
@pytest.mark.parametrize("encoding", [excerpt, full])
def test_a_sample_has_the_ids_of_gpt2(encoding: object, text: str) -> None:
    ours = encoding()  # type: ignore[operator]
    assert ours.encode_to_numpy(text, disallowed_special=()).tolist() == SAMPLES[text]
    assert ours.decode(SAMPLES[text]) == text


def test_the_end_of_text_is_the_last_of_gpt2s_tokens() -> None:
    ours = full()
    assert ours.n_vocab == VOCABULARIES["gpt2"] == 50257
    assert ours.eot_token == ours.encode(END, allowed_special="all")[0] == 50256
