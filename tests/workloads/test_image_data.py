from __future__ import annotations

import sys
from dataclasses import replace
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

import numpy as np
import pytest

from lrctl.errors import MissingError, UsageError
from lrctl_workloads.images import data as image_data
from lrctl_workloads.images.data import PACKAGED, PIECE, SHARES, SHARES_BESIDE_TEST, Part, mean_and_deviation, partition
from workloads.packages import digits_installed, mnist_installed

DATA = {
    "digits": pytest.param("digits", (1797, 65), 16, marks=digits_installed),
    "mnist-5k": pytest.param("mnist-5k", (5000, 785), 255, marks=mnist_installed),
}


@pytest.mark.parametrize(("data", "shape", "brightest"), DATA.values(), ids=DATA)
def test_a_packaged_table_holds_images_of_ten_kinds(data: str, shape: tuple[int, int], brightest: int) -> None:
    table, _, digest = image_data.packaged_table(data)
    assert (table.shape, digest) == (shape, PACKAGED[data].sha256)
    assert table.dtype == np.uint8
    assert table[:, :-1].max() == brightest
    assert sorted(set(table[:, -1].tolist())) == list(range(10))


@digits_installed
def test_the_first_packaged_digit_is_a_zero() -> None:
    table, _, _ = image_data.packaged_table("digits")
    assert table[0, :8].tolist() == [0, 0, 5, 13, 9, 1, 0, 0]
    assert table[0, -1] == 0


@pytest.mark.parametrize(("data", "shape", "_"), DATA.values(), ids=DATA)
def test_each_packaged_image_is_in_one_part(data: str, shape: tuple[int, int], _: int) -> None:
    parts = image_data.images(data, "").parts
    assert sorted(parts) == ["score", "test", "training", "validation"]
    np.testing.assert_array_equal(np.sort(np.concatenate([p.numbers for p in parts.values()])), np.arange(shape[0]))
    for part in parts.values():
        assert np.bincount(part.take(slice(None))[1], minlength=10).min() > 0.05 * len(part)


@pytest.mark.parametrize("data", PACKAGED)
def test_without_the_package_the_error_says_what_to_install(data: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> None:
        raise PackageNotFoundError(name)

    monkeypatch.setattr("lrctl_workloads.data.packages.distribution", missing)
    assert not image_data.ready(data, "")
    with pytest.raises(MissingError) as caught:
        image_data.images(data, "")
    assert f"the images of '{data}' come with {PACKAGED[data].requirement}" in str(caught.value)
    assert str(caught.value).endswith("; run: pip install 'lrctl[images]'")


@digits_installed
def test_a_package_without_the_file_is_a_usage_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(PACKAGED, "digits", replace(PACKAGED["digits"], path="sklearn/no/where.csv.gz"))
    with pytest.raises(UsageError, match=r"come with scikit-learn>=1\.6, which .*lacks sklearn/no/where\.csv\.gz"):
        image_data.images("digits", "")


@digits_installed
def test_another_file_is_a_usage_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = PACKAGED["digits"]
    file = Path(str(distribution(source.package).locate_file(source.path)))
    (tmp_path / "digits.csv.gz").write_bytes(file.read_bytes()[:-1] + b"?")
    monkeypatch.setitem(PACKAGED, "digits", replace(source, path=str(tmp_path / "digits.csv.gz")))
    with pytest.raises(UsageError, match=r"'digits' are not those of scikit-learn>=1\.6 \(installed: .*sha256 \w{12}"):
        image_data.images("digits", "")


@digits_installed
def test_the_data_package_is_not_imported() -> None:
    before = set(sys.modules)
    image_data.images("digits", "")
    assert not {"sklearn", "mlxtend"} & (set(sys.modules) - before)


@pytest.mark.parametrize("n", [20, 1797, 50_000])
@pytest.mark.parametrize("shares", [SHARES, SHARES_BESIDE_TEST], ids=["all four", "beside a test split"])
def test_parts_share_no_row_and_are_as_large_as_they_should_be(n: int, shares: dict[str, float]) -> None:
    parts = partition(np.zeros((n, 2), np.uint8), shares)
    np.testing.assert_array_equal(np.sort(np.concatenate([part.numbers for part in parts.values()])), np.arange(n))
    assert {name: len(parts[name]) for name in shares} == {name: int(share * n) for name, share in shares.items()}


def test_rows_are_partitioned_the_same_way_each_time_and_shuffled() -> None:
    first, again = (partition(np.zeros((200, 2), np.uint8), SHARES)["test"].numbers for _ in range(2))
    np.testing.assert_array_equal(first, again)
    assert np.ptp(first) > 100
    assert np.any(np.diff(first) < 0)


@pytest.mark.parametrize("n", [1, 7, PIECE, 3 * PIECE + 1])
def test_mean_and_deviation_are_those_of_the_pixels_of_each_channel(n: int) -> None:
    random = np.random.RandomState(0)
    table = random.randint(0, 256, (n, 3 * 4 + 1)).astype(np.uint8)
    table[:, 4:8] //= 4
    chosen = random.permutation(n)[: n // 2 + 1]
    mean, deviation = mean_and_deviation(Part(table, chosen), 3)
    pixels = table[chosen, :-1].reshape(-1, 3, 4).astype(float)
    np.testing.assert_allclose(mean, pixels.mean((0, 2)))
    np.testing.assert_allclose(deviation, pixels.std((0, 2)))


def test_a_channel_of_one_colour_is_not_divided_by_zero() -> None:
    mean, deviation = mean_and_deviation(Part(np.full((5, 3), 9, np.uint8), np.arange(5)), 1)
    assert (mean.tolist(), deviation.tolist()) == ([9.0], [1.0])
