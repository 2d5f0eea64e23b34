from __future__ import annotations

import gzip
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lrctl.errors import MissingError, UsageError
from lrctl_workloads.images import idx as image_idx
from lrctl_workloads.images.classifier import ImageClassifier, ImagesParams
from lrctl_workloads.images.data import images
from lrctl_workloads.images.idx import FOLDER, SHA256, fashion_mnist

Pixels = np.ndarray[Any, np.dtype[np.uint8]]

fashion_installed = pytest.mark.skipif(not FOLDER.is_dir(), reason="needs apt-get install dataset-fashion-mnist")


def idx(values: Pixels) -> bytes:
    """A file in the IDX format."""
    sizes = b"".join(size.to_bytes(4, "big") for size in values.shape)
    return bytes([0, 0, 8, values.ndim]) + sizes + values.tobytes()


def made_up(n: int, seed: int) -> tuple[Pixels, Pixels]:
    """Images and labels."""
    pixels = np.random.RandomState(seed).randint(0, 256, (n, 28, 28)).astype(np.uint8)
    return pixels, (np.arange(n) % 10).astype(np.uint8)


def write(folder: Path, contents: dict[str, bytes], suffix: str = ".gz") -> Path:
    folder.mkdir(exist_ok=True)
    for name, content in contents.items():
        (folder / f"{name}{suffix}").write_bytes(gzip.compress(content) if suffix else content)
    return folder


@pytest.fixture
def contents() -> dict[str, bytes]:
    """The four files' contents: 200 images for training, and 30 for the test."""
    return dict(zip(SHA256, [idx(values) for values in (*made_up(200, 0), *made_up(30, 1))], strict=True))


@pytest.mark.parametrize("suffix", [".gz", ""], ids=["gzipped", "not gzipped"])
def test_images_and_labels_come_back_from_the_four_files(
    contents: dict[str, bytes], suffix: str, tmp_path: Path
) -> None:
    training, test, _ = fashion_mnist(str(write(tmp_path / "here", contents, suffix)))
    for table, (pixels, labels) in ((training, made_up(200, 0)), (test, made_up(30, 1))):
        assert table.dtype == np.uint8
        np.testing.assert_array_equal(table[:, :-1].reshape(-1, 28, 28), pixels)
        np.testing.assert_array_equal(table[:, -1], labels)


def test_the_digest_tells_content_and_neither_place_nor_packing(contents: dict[str, bytes], tmp_path: Path) -> None:
    digest = fashion_mnist(str(write(tmp_path / "a", contents)))[2]
    assert fashion_mnist(str(write(tmp_path / "b", contents, "")))[2] == digest
    contents["t10k-labels-idx1-ubyte"] = idx(np.zeros(30, np.uint8))
    assert fashion_mnist(str(write(tmp_path / "c", contents)))[2] != digest


def test_the_test_split_is_its_own(contents: dict[str, bytes], tmp_path: Path) -> None:
    parts = images("fashion-mnist", str(write(tmp_path / "here", contents))).parts
    sizes = {name: len(part) for name, part in parts.items()}
    assert sizes == {"validation": 20, "score": 10, "training": 170, "test": 30}
    assert {row.tobytes() for row in parts["test"].take(slice(None))[0]} == {row.tobytes() for row in made_up(30, 1)[0]}


def test_the_workload_trains_on_a_folder(contents: dict[str, bytes], tmp_path: Path) -> None:
    params = ImagesParams(data="fashion-mnist", path=str(write(tmp_path / "here", contents)), model="convnet", width=2)
    workload = ImageClassifier(params, seed=0)
    assert workload.ready()
    assert workload.prepared_bytes() == 0
    assert workload.batch(0)[0].shape == (64, 1, 28, 28)
    assert {*workload.evaluate(workload.model(), "test")} == {"loss", "accuracy"}


def test_without_the_package_the_error_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(image_idx, "FOLDER", tmp_path / "none")
    workload = ImageClassifier(ImagesParams(data="fashion-mnist"), seed=0)
    assert not workload.ready()
    with pytest.raises(
        MissingError, match=r"run: apt-get install dataset-fashion-mnist, or give workload\.path a folder"
    ):
        workload.prepare()


def test_other_files_in_place_of_the_packages_are_a_usage_error(
    contents: dict[str, bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(image_idx, "FOLDER", write(tmp_path / "here", contents))
    with pytest.raises(UsageError, match=r"are not those of Fashion-MNIST; run: apt-get install --reinstall"):
        fashion_mnist("")


TRAIN_IMAGES, TRAIN_LABELS, *_ = SHA256
FAULTS: dict[str, tuple[str, Callable[[bytes], bytes], str]] = {
    "cut short": (
        TRAIN_IMAGES,
        lambda content: content[:-1],
        r"images: 156815 bytes are no IDX file of bytes in 3",
    ),
    "no header": (TRAIN_IMAGES, lambda _: b"\x00", r"images: 1 bytes are no IDX file"),
    "labels for images": (TRAIN_IMAGES, lambda _: idx(made_up(200, 0)[1]), r"are no IDX file of bytes in 3 dimensions"),
    "another size": (
        TRAIN_IMAGES,
        lambda _: idx(made_up(200, 0)[0][:, :8, :4]),
        r"has 200 images of 4x8 and 200 labels",
    ),
    "a label too few": (TRAIN_LABELS, lambda _: idx(made_up(199, 0)[1]), r"has 200 images of 28x28 and 199 labels"),
    "a label too large": (
        TRAIN_LABELS,
        lambda _: idx(made_up(200, 0)[1] + np.uint8(1)),
        r"labels must be 0 to 9, got 10",
    ),
    "none": (TRAIN_LABELS, lambda _: idx(made_up(0, 0)[1]), r"has 200 images of 28x28 and 0 labels"),
}


@pytest.mark.parametrize(("name", "change", "message"), FAULTS.values(), ids=FAULTS)
def test_files_of_another_kind_are_a_usage_error(
    name: str, change: Callable[[bytes], bytes], message: str, contents: dict[str, bytes], tmp_path: Path
) -> None:
    folder = write(tmp_path / "here", contents | {name: change(contents[name])})
    with pytest.raises(UsageError, match=rf"^workload\.path: '{folder}' \(train\).*{message}"):
        fashion_mnist(str(folder))


@pytest.mark.parametrize("content", [b"neither", gzip.compress(b"much")[:-9]], ids=["no gzip", "cut short"])
def test_a_broken_file_is_a_usage_error(content: bytes, contents: dict[str, bytes], tmp_path: Path) -> None:
    file = write(tmp_path / "here", contents) / f"{TRAIN_LABELS}.gz"
    file.write_bytes(content)
    with pytest.raises(UsageError, match=rf"^workload\.path: '{file}' cannot be read \(.*\); get it anew$"):
        fashion_mnist(str(tmp_path / "here"))


def test_a_folder_that_lacks_a_file_is_a_usage_error(contents: dict[str, bytes], tmp_path: Path) -> None:
    del contents[TRAIN_LABELS]
    folder = write(tmp_path / "here", contents)
    for use in (fashion_mnist, image_idx.ready):
        with pytest.raises(UsageError, match=rf"'{folder}' has no train-labels-idx1-ubyte\.gz; give") as caught:
            use(str(folder))
        assert not isinstance(caught.value, MissingError)


@fashion_installed
def test_the_packages_files_hold_70000_images_of_ten_kinds() -> None:
    training, test, _ = fashion_mnist("")
    assert (training.shape, test.shape) == ((60_000, 785), (10_000, 785))
    for table in (training, test):
        assert np.bincount(table[:, -1]).tolist() == [len(table) // 10] * 10
    # The first is an ankle boot, 9: black at the rims, white somewhere.
    assert training[0, -1] == 9
    assert (training[0, :28].max(), training[0, :-1].max()) == (0, 255)
