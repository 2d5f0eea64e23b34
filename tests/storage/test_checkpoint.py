from __future__ import annotations

import math
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from lrctl.errors import CheckpointError, StoreError
from lrctl.storage import checkpoint


def equal(one: Any, other: Any) -> bool:
    """Whether two states are the same: types, order, tensors bit for bit."""
    if isinstance(one, torch.Tensor):
        same = isinstance(other, torch.Tensor) and one.dtype == other.dtype and one.shape == other.shape
        if one.is_sparse:
            return same and equal(one.coalesce().values(), other.coalesce().values())
        return same and bool((one.reshape(-1).view(torch.uint8) == other.reshape(-1).view(torch.uint8)).all())
    if type(one) is not type(other):
        return False
    if isinstance(one, dict):
        return list(one) == list(other) and all(equal(one[key], other[key]) for key in one)
    if isinstance(one, list | tuple):
        return len(one) == len(other) and all(map(equal, one, other))
    return bool(one == other)


STATES: dict[str, Any] = {
    "tensors of many types": {
        str(kind): torch.arange(6).reshape(2, 3).to(kind)
        for kind in (torch.float32, torch.float64, torch.bfloat16, torch.int64, torch.uint8, torch.bool)
    },
    "tensors of odd shapes": {"scalar": torch.tensor(1.5), "empty": torch.empty(0, 3), "row": torch.ones(1, 4)},
    "losses that are not finite": {"w": torch.tensor([float("nan"), float("inf"), -0.0])},
    "an optimizer's integer keys": {"state": {0: {"step": torch.tensor(3.0)}, 1: {}}, "param_groups": [{"lr": 0.1}]},
    "plain values": {"none": None, "yes": True, "int": 2**60, "float": 0.1, "text": "naïve", "list": [1, [2.0]]},
    "tuples and lists are told apart": {"pair": (1, 2), "list": [1, 2], "empty": ((), [])},
    "nothing": {},
    "only a value": 3,
    "names with dots": {"a": {"b.c": torch.ones(1)}, "a.b": {"c": torch.zeros(1)}},
    "names that differ in type": {0: torch.ones(1), "0": torch.zeros(1), "0'": torch.ones(2)},
    "bits seen as two types": {"f": (bits := torch.tensor([1.0])), "i": bits.view(torch.int32)},
    "numbers that are not finite": {"growth_rate": math.inf, "least": -math.inf},
    "complex numbers": {"w": torch.tensor([1 + 2j, 3 - 4j])},
    "a sparse buffer": {"mask": torch.eye(3).to_sparse()},
    "a storage in two shapes": {
        "flat": (flat := torch.randn(6)),
        "table": flat.view(2, 3),
        "turned": flat.view(2, 3).T,
    },
}


@pytest.mark.parametrize("state", STATES.values(), ids=STATES)
def test_a_state_comes_back_as_it_was(state: Any, tmp_path: Path) -> None:
    digest = checkpoint.save(tmp_path / "c", state)
    assert equal(checkpoint.load(tmp_path / "c", digest), state)
    assert [path.name for path in tmp_path.iterdir()] == ["c"]


def test_the_same_state_is_the_same_bytes(tmp_path: Path) -> None:
    for i in range(20):
        checkpoint.save(tmp_path / str(i), {"model": {"b": torch.ones(2), "a": torch.zeros(3)}, "step": 4})
    assert len({path.read_bytes() for path in tmp_path.iterdir()}) == 1


@pytest.mark.parametrize("metadata", [None, {"lrctl": "lrctl-checkpoint/1\nd\n{}"}], ids=["foreign", "another lrctl"])
def test_a_file_that_this_lrctl_did_not_write_is_called_so(metadata: dict[str, str] | None, tmp_path: Path) -> None:
    save_file({"a": torch.zeros(1)}, tmp_path / "c", metadata)
    with pytest.raises(CheckpointError, match="cannot be read: it was not written by this lrctl"):
        checkpoint.load(tmp_path / "c")


ORDERS: dict[str, Callable[[], torch.Tensor]] = {
    "contiguous": lambda: torch.randn(2, 3, 4, 5),
    "channels_last": lambda: torch.randn(2, 3, 4, 5).to(memory_format=torch.channels_last),
    "channels_last of one row": lambda: torch.randn(1, 3, 4, 5).to(memory_format=torch.channels_last),
    "transposed": lambda: torch.randn(4, 6).T,
    "a transposed part of a larger one": lambda: torch.randn(4, 6)[1:3, ::2].T,
    "expanded": lambda: torch.randn(3, 1).expand(3, 4),
}


@pytest.mark.parametrize("kind", [torch.float32, torch.bfloat16, torch.complex64], ids=str)
@pytest.mark.parametrize("make", ORDERS.values(), ids=ORDERS)
def test_a_tensor_comes_back_in_the_order_of_memory_that_torch_gives_its_like(
    make: Callable[[], torch.Tensor], kind: torch.dtype, tmp_path: Path
) -> None:
    one = make().to(kind)
    checkpoint.save(tmp_path / "c", {"w": one, "tied": one, "moment": torch.zeros_like(one)})
    loaded = checkpoint.load(tmp_path / "c")
    assert loaded["w"] is loaded["tied"]
    assert torch.equal(loaded["w"], one)
    assert loaded["w"].stride() == loaded["moment"].stride() == torch.empty_like(one).stride()


def test_a_number_of_numpy_comes_back_as_the_number_it_is(tmp_path: Path) -> None:
    checkpoint.save(tmp_path / "c", {"d": np.float64(0.1), "k": np.int64(3), "on": np.bool_(True)})
    loaded = checkpoint.load(tmp_path / "c")
    assert loaded == {"d": 0.1, "k": 3, "on": True}
    assert [type(value) for value in loaded.values()] == [float, int, bool]


def test_tied_tensors_are_stored_once(tmp_path: Path) -> None:
    shared = torch.randn(1000)
    checkpoint.save(tmp_path / "c", {"embedding": shared, "head": shared})
    loaded = checkpoint.load(tmp_path / "c")
    assert (tmp_path / "c").stat().st_size < 2 * shared.nbytes
    assert torch.equal(loaded["embedding"], shared)
    assert torch.equal(loaded["head"], shared)


def test_a_view_does_not_drag_its_storage_along(tmp_path: Path) -> None:
    whole = torch.randn(100, 100)
    checkpoint.save(tmp_path / "c", {"row": whole[3], "column": whole[:, 3]})
    loaded = checkpoint.load(tmp_path / "c")
    assert torch.equal(loaded["row"], whole[3])
    assert torch.equal(loaded["column"], whole[:, 3])
    assert (tmp_path / "c").stat().st_size < 3000


def test_each_load_gives_tensors_of_its_own(tmp_path: Path) -> None:
    checkpoint.save(tmp_path / "c", {"w": torch.zeros(3)})
    checkpoint.load(tmp_path / "c")["w"].fill_(1.0)
    assert torch.equal(checkpoint.load(tmp_path / "c")["w"], torch.zeros(3))


def test_equal_states_have_equal_digests(tmp_path: Path) -> None:
    one, other = ({"w": torch.ones(3), "v": torch.zeros(2), "n": 1} for _ in range(2))
    assert checkpoint.save(tmp_path / "a", one) == checkpoint.save(tmp_path / "b", other)


DIFFERENT: dict[str, Any] = {
    "a value": {"w": torch.tensor([1.0, 2.5]), "n": 1},
    "the sign of zero": {"w": torch.tensor([1.0, -0.0]), "n": 1},
    "a type": {"w": torch.tensor([1.0, 0.0], dtype=torch.float64), "n": 1},
    "a shape": {"w": torch.tensor([[1.0, 0.0]]), "n": 1},
    "a name": {"v": torch.tensor([1.0, 0.0]), "n": 1},
    "what is not a tensor": {"w": torch.tensor([1.0, 0.0]), "n": 2},
}


@pytest.mark.parametrize("other", DIFFERENT.values(), ids=DIFFERENT)
def test_different_states_have_different_digests(other: Any, tmp_path: Path) -> None:
    expected = checkpoint.save(tmp_path / "a", {"w": torch.tensor([1.0, 0.0]), "n": 1})
    assert checkpoint.save(tmp_path / "b", other) != expected
    with pytest.raises(CheckpointError, match="digest does not match"):
        checkpoint.load(tmp_path / "b", expected)


def small(folder: Path) -> Path:
    """A checkpoint of 600 bytes or so, with each part that a real one has."""
    checkpoint.save(folder / "c", {"model": {"w": torch.arange(40.0)}, "optimizer": {0: (1, None)}, "schedule": "x"})
    return folder / "c"


def test_every_flipped_bit_is_noticed(tmp_path: Path) -> None:
    path = small(tmp_path)
    whole, bits = path.read_bytes(), random.Random(0)
    for place in range(len(whole)):
        spoilt = bytearray(whole)
        spoilt[place] ^= 1 << bits.randrange(8)
        path.write_bytes(spoilt)
        with pytest.raises(CheckpointError):
            checkpoint.load(path)
    path.write_bytes(whole)
    checkpoint.load(path)


DAMAGES: dict[str, Callable[[bytes], bytes]] = {
    "empty": lambda _: b"",
    "the length alone": lambda whole: whole[:8],
    "half the header": lambda whole: whole[:100],
    "the last byte gone": lambda whole: whole[:-1],
    "a byte too many": lambda whole: whole + b"\0",
    "zeros, as after a power cut": lambda whole: bytes(len(whole)),
    "another kind of file": lambda _: b"PK\3\4" + bytes(1000),
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_a_damaged_file_is_noticed(damage: Callable[[bytes], bytes], tmp_path: Path) -> None:
    path = small(tmp_path)
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(CheckpointError, match=r"checkpoint .*c"):
        checkpoint.load(path)


def test_a_missing_file_is_noticed(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="cannot be read"):
        checkpoint.load(tmp_path / "none")


def test_what_json_cannot_hold_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(TypeError, match=r"optimizer\.state\.0 is a set"):
        checkpoint.save(tmp_path / "c", {"optimizer": {"state": {0: {1, 2}}}})
    assert list(tmp_path.iterdir()) == []


@pytest.mark.filterwarnings("ignore:Sparse CSR tensor support is in beta")
def test_a_tensor_of_another_layout_is_refused_by_name(tmp_path: Path) -> None:
    rows = torch.sparse_csr_tensor([0, 1], [0], [1.0], (1, 2), check_invariants=True)
    with pytest.raises(TypeError, match=r"checkpoint: model\.w is a tensor of layout torch.sparse_csr; dense and"):
        checkpoint.save(tmp_path / "c", {"model": {"w": rows}})


def test_nan_comes_back_as_nan(tmp_path: Path) -> None:
    checkpoint.save(tmp_path / "c", {"schedule": {"last": math.nan}})
    assert math.isnan(checkpoint.load(tmp_path / "c")["schedule"]["last"])


def test_a_file_that_cannot_be_written_is_a_clear_error(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match=r"cannot write .*; choose another --store"):
        checkpoint.save(tmp_path / "no such folder" / "c", {"w": torch.ones(1)})


def test_an_old_file_stays_until_the_new_one_is_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = small(tmp_path)
    before = path.read_bytes()

    def cut_short(_tensors: Any, temporary: Path, _metadata: Any) -> None:
        temporary.write_bytes(b"half a file")
        raise KeyboardInterrupt

    monkeypatch.setattr(checkpoint, "save_file", cut_short)
    with pytest.raises(KeyboardInterrupt):
        checkpoint.save(path, {"w": torch.ones(1)})
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]
