"""CIFAR-10 and CIFAR-100, or images of their kind: from the hub, or from parquet files of the same columns."""

from __future__ import annotations

import glob
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from lrctl.errors import MissingError, UsageError
from lrctl_workloads.data.cache import cached, folder, recorded
from lrctl_workloads.text.corpus import sha256

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, np.dtype[Any]]

SIDE = 32


@dataclass(frozen=True)
class Kind:
    """A data set of the hub: its name there, the column of the labels, how many kinds of image there are."""

    title: str
    hub: str
    label: str
    classes: int


KINDS = {
    "cifar10": Kind("CIFAR-10", "uoft-cs/cifar10", "label", 10),
    "cifar100": Kind("CIFAR-100", "uoft-cs/cifar100", "fine_label", 100),
}
HUB_IMAGES = 60_000
"""How many images either has on the hub, both splits together."""


def cifar(data: str, path: str) -> tuple[Array, Array | None, str]:
    """The training split, the test split if there is one, and a digest of both.

    Images are decoded once, then mapped from the cache. A split is a row for each image: 3 * 32 * 32 pixels,
    channel by channel, and the label; uint8.

    Args:
        data: `cifar10` or `cifar100`.
        path: "" is the hub's; else a parquet file, or a folder of files named train*.parquet and test*.parquet.

    Raises:
        MissingError: there is no path, and the hub cannot be reached.
        UsageError: the images cannot be read, or are not of this kind.
    """
    import numpy as np

    kind, tables, digests = KINDS[data], {}, []
    for split, parquet in sources(kind, path).items():

        def write(file: BinaryIO, split: str = split, parquet: list[Path] = parquet) -> None:
            np.save(file, decoded(kind, split, parquet, f"'{path or kind.hub}' ({split})"))

        place, digest = cached(cached_as(data, split, parquet), write)
        # Plain views: numpy's own class for mapped files makes each indexing slow.
        tables[split] = np.asarray(np.load(place, mmap_mode="r"))
        digests.append(f"{split} {digest}")
    return tables["train"], tables.get("test"), hashlib.sha256("\n".join(digests).encode()).hexdigest()


def is_cached(data: str, path: str) -> bool:
    """Whether the images have been decoded already.

    Raises:
        UsageError: the path is of no use.
    """
    names = [cached_as(data, split, parquet) for split, parquet in sources(KINDS[data], path).items()]
    return all((folder() / name).is_file() and recorded(folder() / name) for name in names)


def cached_as(data: str, split: str, parquet: list[Path]) -> str:
    """The name of a split in the cache, which tells what it was made of."""
    key = hashlib.sha256("\n".join([split, *map(sha256, parquet)]).encode()).hexdigest()[:32]
    return f"{data}-{key}.npy"


def sources(kind: Kind, path: str) -> dict[str, list[Path]]:
    """The splits and their files; none is the hub's.

    Raises:
        UsageError: the path is of no use.
    """
    return files(kind, path) if path else {"train": [], "test": []}


def files(kind: Kind, path: str) -> dict[str, list[Path]]:
    """The parquet files of each split, by name; a file alone is the training split.

    Raises:
        UsageError: there are none, or a file of a folder belongs to neither split.
    """
    place = Path(path).expanduser()
    if not place.is_dir():
        if not place.exists() or place.suffix != ".parquet":
            raise UsageError(
                f"workload.path: '{path}' is no .parquet file and no folder; give one of {kind.title}'s columns (img, "
                f"{kind.label}), or leave it empty for the hub's"
            )
        return {"train": [place]}
    found = sorted(place.rglob("*.parquet"))
    splits = {split: [file for file in found if file.name.startswith(split)] for split in ("train", "test")}
    other = set(found).difference(*splits.values())
    if other or not splits["train"]:
        what = f"'{min(other).name}', which is neither" if other else "no train*.parquet"
        raise UsageError(
            f"workload.path: the folder '{path}' holds {what}; name its files train*.parquet and test*.parquet"
        )
    return {split: parquet for split, parquet in splits.items() if parquet}


def decoded(kind: Kind, split: str, parquet: list[Path], source: str) -> Array:
    """The rows of a split: of these files, or of the hub's; `source` is what errors call them.

    Raises:
        MissingError: there are no files, and the hub cannot be reached.
        UsageError: they cannot be read, or are not of this kind.
    """
    import numpy as np

    try:
        rows = list(encoded(kind, split, parquet, source))
    except UsageError:
        raise
    except Exception as error:  # The library lets many types through, of its own and of those below it.
        do = "check the files" if parquet else "connect to the network once, or give a local path"
        raise (UsageError if parquet else MissingError)(
            f"workload.path: {source} cannot be read ({type(error).__name__}: "
            f"{(str(error).splitlines() or [''])[0]}); {do}"
        ) from error
    return np.stack(rows) if rows else np.empty((0, 3 * SIDE * SIDE + 1), np.uint8)


def encoded(kind: Kind, split: str, parquet: list[Path], source: str) -> Iterator[Array]:
    """Each image as a row.

    Raises:
        UsageError: a column is missing, an image has another size, a label is out of range, or a folder has the name
            of the hub's data set.
    """
    import numpy as np

    # 0.8 s, so only where it is needed.
    from datasets import Image, load_dataset

    if not parquet and Path(kind.hub).is_dir():  # which the library would take instead
        raise UsageError(
            f"workload.path: {kind.title} is meant to come from the hub, but there is a folder {kind.hub} here; rename "
            f"it, or give ./{kind.hub} if it is meant"
        )
    name, chosen = ("parquet", {split: [glob.escape(str(file)) for file in parquet]}) if parquet else (kind.hub, None)
    # Streaming leaves no second copy of the data in the library's own cache.
    table = load_dataset(name, data_files=chosen, split=split, streaming=True)
    columns = sorted(table.column_names or next(iter(table), {}))
    if columns and not {"img", kind.label} <= {*columns}:
        raise UsageError(
            f"workload.path: {source} has the columns {', '.join(columns)}; it must have img and {kind.label}"
        )
    for number, row in enumerate(table.cast_column("img", Image(mode="RGB")), 1):
        image, label = np.asarray(row["img"]), row[kind.label]
        if image.shape != (SIDE, SIDE, 3):
            raise UsageError(
                f"workload.path: {source}, row {number}: the image is {image.shape[1]}x{image.shape[0]}; scale it to "
                f"{SIDE}x{SIDE}"
            )
        if label not in range(kind.classes):
            raise UsageError(
                f"workload.path: {source}, row {number}: {kind.label} must be 0 to {kind.classes - 1}, got {label!r}"
            )
        yield np.append(image.transpose(2, 0, 1).ravel(), np.uint8(label))
