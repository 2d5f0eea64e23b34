from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import datasets
import huggingface_hub
import numpy as np
import pytest
from PIL import Image

from lrctl.errors import MissingError, UsageError
from lrctl_workloads.images import cifar as image_cifar
from lrctl_workloads.images.cifar import HUB_IMAGES, SETS, cifar
from lrctl_workloads.images.classifier import ImageClassifier, ImagesParams
from lrctl_workloads.images.data import images

Pixels = np.ndarray[Any, np.dtype[np.uint8]]

datasets.disable_progress_bars()


def cifar10(path: str) -> tuple[Pixels, Pixels | None, str]:
    return cifar("cifar10", path)


def pixels(n: int, seed: int = 0, side: int = 32) -> Pixels:
    return np.random.RandomState(seed).randint(0, 256, (n, side, side, 3)).astype(np.uint8)


def parquet(
    path: Path, pixels: Pixels, labels: list[int] | None = None, names: tuple[str, ...] = ("img", "label")
) -> Path:
    """A file of CIFAR's schema: images as PNG, labels as numbers of classes; in a third column they are all 0."""
    path.parent.mkdir(parents=True, exist_ok=True)
    kinds = datasets.ClassLabel(num_classes=max(10, *(labels or [0])) + 1)
    labels = labels or [number % 10 for number in range(len(pixels))]
    columns: dict[str, Any] = {names[0]: [Image.fromarray(image) for image in pixels], names[1]: labels}
    columns |= {name: [0] * len(pixels) for name in names[2:]}
    features = datasets.Features({names[0]: datasets.Image()} | dict.fromkeys(names[1:], kinds))
    datasets.Dataset.from_dict(columns, features=features).to_parquet(path)
    return path


@pytest.fixture
def split(tmp_path: Path) -> Path:
    """A folder as the hub has it: 200 images for training, in two files, and 30 for the test."""
    folder = tmp_path / "cifar[1]" / "plain_text"
    parquet(folder / "train-00000-of-00002.parquet", pixels(120, 0))
    parquet(folder / "train-00001-of-00002.parquet", pixels(80, 1))
    parquet(folder / "test-00000-of-00001.parquet", pixels(30, 2))
    return folder.parent


def test_images_come_back_from_parquet_channel_by_channel(split: Path) -> None:
    training, test, _ = cifar10(str(split))
    assert test is not None
    assert (training.shape, test.shape) == ((200, 3073), (30, 3073))
    assert training.dtype == test.dtype == np.uint8
    expected = np.concatenate([pixels(120, 0), pixels(80, 1)]).transpose(0, 3, 1, 2)
    np.testing.assert_array_equal(training[:, :-1].reshape(-1, 3, 32, 32), expected)
    np.testing.assert_array_equal(training[:, -1], [*(np.arange(120) % 10), *(np.arange(80) % 10)])


def test_the_test_split_is_its_own_and_validation_is_cut_from_training(split: Path) -> None:
    parts = images("cifar10", str(split)).parts
    training, test, _ = cifar10(str(split))
    assert {name: len(part) for name, part in parts.items()} == {
        "validation": 20,
        "score": 10,
        "training": 170,
        "test": 30,
    }
    np.testing.assert_array_equal(np.sort(parts["test"].numbers), np.arange(30))
    np.testing.assert_array_equal(parts["test"].table, test)
    rest = [parts[name] for name in ("validation", "score", "training")]
    np.testing.assert_array_equal(np.sort(np.concatenate([part.numbers for part in rest])), np.arange(200))
    for part in rest:
        np.testing.assert_array_equal(part.table, training)


def test_a_file_alone_is_cut_into_all_four_parts(tmp_path: Path) -> None:
    parts = images("cifar10", str(parquet(tmp_path / "mine.parquet", pixels(40)))).parts
    assert {name: len(part) for name, part in parts.items()} == {
        "validation": 6,
        "test": 6,
        "score": 6,
        "training": 22,
    }


def test_the_workload_gives_colour_images(split: Path) -> None:
    workload = ImageClassifier(ImagesParams(data="cifar10", path=str(split), batch_size=16, width=4), seed=0)
    x, y = workload.batch(0)
    assert (x.shape, y.shape) == ((16, 3, 32, 32), (16,))
    assert {*workload.evaluate(workload.model(), "test")} == {"loss", "accuracy"}


def test_images_are_decoded_once(split: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = cifar10(str(split))
    monkeypatch.setattr(image_cifar, "decoded", None)
    again = cifar10(str(split))
    np.testing.assert_array_equal(again[0], first[0])
    assert again[2] == first[2]


def test_the_digest_tells_content_and_not_place(split: Path, tmp_path: Path) -> None:
    _, _, before = cifar10(str(split))
    moved = split.rename(tmp_path / "elsewhere")
    assert cifar10(str(moved))[2] == before
    parquet(moved / "plain_text" / "test-00000-of-00001.parquet", pixels(30, 3))
    assert cifar10(str(moved))[2] != before


def test_grey_images_become_colour(tmp_path: Path) -> None:
    table, _, _ = cifar10(str(parquet(tmp_path / "a.parquet", pixels(1)[..., 0])))
    channels = table[0, :-1].reshape(3, 32, 32)
    for channel in channels:
        np.testing.assert_array_equal(channel, pixels(1)[0, ..., 0])


FAULTS = {
    "another column": (
        pixels(2),
        None,
        ("image", "label"),
        r"has the columns image, label; it must have img and label",
    ),
    "another size": (pixels(2, side=28), None, ("img", "label"), r"row 1: the image is 28x28; scale it to 32x32"),
    "a label too large": (pixels(2), [0, 10], ("img", "label"), r"row 2: label must be 0 to 9, got 10"),
    "too few": (pixels(5), None, ("img", "label"), r"holds too few images: 5 to split leave none for validation"),
    "none": (pixels(0), None, ("img", "label"), r"holds too few images: 0 to split leave none for"),
}


@pytest.mark.parametrize(("content", "labels", "names", "message"), FAULTS.values(), ids=FAULTS)
def test_images_of_another_kind_are_a_usage_error(
    content: Pixels, labels: list[int] | None, names: tuple[str, str], message: str, tmp_path: Path
) -> None:
    file = parquet(tmp_path / "a.parquet", content, labels, names)
    with pytest.raises(UsageError, match=rf"^workload\.path: '{file}'.*{message}"):
        images("cifar10", str(file))


@pytest.mark.parametrize(
    ("names", "path", "message"),
    [
        ([], "no-where", r"no-where' is no \.parquet file and no folder; give one"),
        (["a.csv"], "a.csv", r"a\.csv' is no \.parquet file and no folder; give one"),
        ([], ".", r"holds no train\*\.parquet; name its files"),
        (["test-0.parquet"], ".", r"holds no train\*\.parquet; name its files"),
        (["train.parquet", "more.parquet"], ".", r"holds 'more\.parquet', which is neither; name its files"),
        (["a.parquet"], "a.parquet", r"a\.parquet' \(train\) cannot be read \(.*\); check the files"),
    ],
    ids=["missing", "another format", "empty", "no training", "neither", "broken"],
)
def test_files_that_cannot_be_used_are_a_usage_error(names: list[str], path: str, message: str, tmp_path: Path) -> None:
    for name in names:
        (tmp_path / name).write_bytes(b"\x00\xff neither")
    with pytest.raises(UsageError, match=message) as caught:
        cifar10(str(tmp_path / path))
    # What is missing can be fetched; a wrong path has to be mended.
    assert not isinstance(caught.value, MissingError)


@pytest.mark.parametrize("data", SETS)
def test_without_the_hub_the_error_says_what_to_do(data: str, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def offline(_: object, repo: str, **__: Any) -> None:
        asked.append(repo)
        raise ConnectionError("no route")

    monkeypatch.setattr(huggingface_hub.HfApi, "repo_info", offline)
    with pytest.raises(MissingError, match=r"fetched from the hub \(ConnectionError: no route\); connect .*files"):
        cifar(data, "")
    assert asked == [f"uoft-cs/{data}"]


def test_both_splits_are_fetched_once_and_at_one_commit(split: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = cifar10(str(split))[0]
    real, asked = datasets.load_dataset, []

    def hub(repo: str, *, name: None, split: str, streaming: bool, revision: str, folder: Path = split) -> Any:
        asked.append((repo, name, split, revision))
        files = [str(file).replace("[", "[[]") for file in sorted(folder.rglob(f"{split}*"))]
        return real("parquet", data_files={split: files}, split=split, streaming=streaming)

    monkeypatch.setattr(datasets, "load_dataset", hub)
    commits = iter(["a" * 40, *["b" * 40] * 5])
    monkeypatch.setattr(huggingface_hub.HfApi, "repo_info", lambda *_, **__: SimpleNamespace(sha=next(commits)))
    training, test, _ = cifar10("")
    assert asked == [("uoft-cs/cifar10", None, split, "a" * 40) for split in ("train", "test")]
    np.testing.assert_array_equal(training, expected)
    assert test is not None
    assert len(test) == 30
    assert cifar10("")[2]
    assert len(asked) == 2


CIFAR100 = ("img", "fine_label", "coarse_label")


def test_cifar100_has_a_hundred_fine_kinds(tmp_path: Path) -> None:
    labels = [7 * number % 100 for number in range(200)]
    file = parquet(tmp_path / "a.parquet", pixels(200), labels, CIFAR100)
    table, test, _ = cifar("cifar100", str(file))
    assert test is None
    assert table[:, -1].tolist() == labels
    workload = ImageClassifier(ImagesParams(data="cifar100", path=str(file), model="mlp", width=1, batch_size=64), 0)
    x, y = workload.batch(0)
    assert workload.model()(x).shape == (64, 100)
    assert int(y.max()) > 50


CIFAR100_FAULTS = {
    "cifar10's column": ([1, 2], ("img", "label"), r"has the columns img, label; it must have img and fine_label"),
    "a label too large": ([99, 100], CIFAR100, r"row 2: fine_label must be 0 to 99, got 100"),
}


@pytest.mark.parametrize(("labels", "names", "message"), CIFAR100_FAULTS.values(), ids=CIFAR100_FAULTS)
def test_images_that_are_not_cifar100s_are_a_usage_error(
    labels: list[int], names: tuple[str, ...], message: str, tmp_path: Path
) -> None:
    file = parquet(tmp_path / "a.parquet", pixels(2), labels, names)
    with pytest.raises(UsageError, match=message):
        cifar("cifar100", str(file))


def test_the_workload_is_ready_once_its_images_are_decoded(split: Path) -> None:
    workload = ImageClassifier(ImagesParams(data="cifar10", path=str(split)), seed=0)
    assert not workload.ready()
    workload.prepare()
    assert workload.ready()
    parquet(split / "plain_text" / "test-00000-of-00001.parquet", pixels(30, 3))
    assert not workload.ready()


@pytest.mark.parametrize("data", SETS)
def test_the_hubs_images_take_a_byte_for_each_value_and_label(data: str, split: Path) -> None:
    workload = ImageClassifier(ImagesParams(data=data), seed=0)  # type: ignore[arg-type]
    assert not workload.ready()
    assert workload.prepared_bytes() == HUB_IMAGES * 3073
    assert replace(workload, params=ImagesParams(data="cifar10", path=str(split))).prepared_bytes() == 0


def test_a_path_of_no_use_is_told_before_anything_is_measured(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"is no \.parquet file and no folder"):
        ImageClassifier(ImagesParams(data="cifar10", path=str(tmp_path / "none")), seed=0).ready()


@pytest.mark.parametrize("data", SETS)
def test_a_folder_does_not_stand_for_the_hubs_images(
    data: str, split: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "uoft-cs").mkdir()
    split.rename(tmp_path / "uoft-cs" / data)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(
        UsageError, match=rf"there is a folder uoft-cs/{data} here; rename it, or give it as \./uoft-cs/{data}"
    ):
        cifar(data, "")
