"""What is lost or damaged is made again, and ends the search where it comes out otherwise."""

from __future__ import annotations

import os
import random
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from engine.session.interrupted import stop_at
from lrctl.contracts.result import JobResult
from lrctl.errors import ReproducibilityError
from lrctl.storage.store import Store
from searches import facts, forget, found, search


def keys_of(document: dict[str, Any]) -> list[str]:
    """The jobs that lead to the answer."""
    return [next(c["key"] for c in s["candidates"] if c["lr"] == s["chosen"]) for s in document["segments"]]


def flip(place: float, bit: int) -> Callable[[Path], None]:
    """Flips a bit at a share of a file."""

    def spoil(path: Path) -> None:
        whole = bytearray(path.read_bytes())
        whole[int(place * len(whole))] ^= 1 << bit
        path.write_bytes(whole)

    return spoil


def cut(share: float) -> Callable[[Path], None]:
    """Truncates a file."""
    return lambda path: os.truncate(path, int(share * path.stat().st_size))


RANDOM = random.Random(0)
SPOILT = {
    f"bit {bit} at {at:.3f}": flip(at, bit) for at, bit in [(RANDOM.random(), RANDOM.randrange(8)) for _ in "....."]
}
SPOILT |= {"first byte": flip(0, 0), "in the header": flip(0.1, 3), "last byte": flip(0.9999, 7)}
SPOILT |= {"cut to a half": cut(0.5), "empty": cut(0), "gone": Path.unlink}


@pytest.mark.parametrize("spoil", SPOILT.values(), ids=SPOILT)
def test_a_damaged_checkpoint_is_made_again(
    spoil: Callable[[Path], None], place: Path, reference: dict[str, Any], watch: Callable[..., None]
) -> None:
    watch(before_batch=stop_at(3))
    with pytest.raises(KeyboardInterrupt):
        search(place)
    spoil(Store(place).checkpoint(keys_of(reference)[1]))
    document = search(place)
    assert found(document) == found(reference)
    again = document["cost"]["steps_trained"] - 88
    assert again in (8, 16), "it, and its own parent where the damage shows only once that is dropped"


@pytest.mark.parametrize("folder", ["jobs", "losses"])
@pytest.mark.parametrize(
    "spoil", [flip(0.3, 1), flip(0.9, 2), cut(0.5), Path.unlink], ids=["flip", "flip 2", "cut", "gone"]
)
def test_damaged_facts_are_made_again(
    folder: str, spoil: Callable[[Path], None], place: Path, reference: dict[str, Any], watch: Callable[..., None]
) -> None:
    watch(before_batch=stop_at(3))
    with pytest.raises(KeyboardInterrupt):
        search(place)
    (path,) = (place / folder).glob(f"{keys_of(reference)[1]}.*")
    spoil(path)
    assert found(search(place)) == found(reference)
    assert Store(place).record(keys_of(reference)[1]) is not None


def unfinish(store: Store, document: dict[str, Any]) -> None:
    """Forget that a run is finished and its last job, and lose all checkpoints."""
    (store.path / "runs" / document["run"] / "result.json").unlink()
    for path in (store.path / "checkpoints").iterdir():
        path.unlink()
    forget(store, document["checkpoint"])


def test_lost_checkpoints_are_made_again_through_generations(place: Path, reference: dict[str, Any]) -> None:
    unfinish(Store(place), search(place))
    before = facts(place, "losses")
    document = search(place)
    assert found(document) == found(reference)
    assert document["cost"]["steps_trained"] == 88 + 16
    assert {name: facts(place, "losses")[name][2] for name in before} == {name: f[2] for name, f in before.items()}


def test_a_lost_answer_is_made_again_before_it_is_handed_over(place: Path, reference: dict[str, Any]) -> None:
    document = search(place)
    (place / "runs" / document["run"] / "result.json").unlink()
    Store(place).checkpoint(document["checkpoint"]).unlink()
    assert found(search(place)) == found(reference)
    assert Store(place).checkpoint(document["checkpoint"]).exists()


def test_other_losses_than_the_stored_ones_end_the_search(place: Path, reference: dict[str, Any]) -> None:
    store = Store(place)
    unfinish(store, search(place))
    key = keys_of(reference)[0]
    result, table = store.record(key), store.losses(key)
    assert result is not None
    digest = store.put_losses(key, table["loss"] + np.float32(1e-3), list(table["lr"]))
    store.put_record(replace(result, digests={**result.digests, "losses": digest}))
    with pytest.raises(ReproducibilityError, match="gave another loss at its step 0 than the one stored"):
        search(place)
    assert found(search(place, fresh=True)) == found(reference)


def test_a_checkpoint_that_another_search_deletes_is_made_again(
    place: Path, reference: dict[str, Any], watch: Callable[..., None]
) -> None:
    spoilt: set[str] = set()

    def delete(_: JobResult) -> None:
        for path in (place / "checkpoints").iterdir():
            if path.name not in spoilt:
                spoilt.add(path.name)
                path.unlink()

    watch(after_job=delete)
    assert found(search(place)) == found(reference)
    assert len(spoilt) == 11
