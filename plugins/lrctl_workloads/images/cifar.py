"""CIFAR-10 and CIFAR-100, or images of their kind: from the hub, or from parquet files of the same columns."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from lrctl.errors import UsageError
from lrctl_workloads.data.cache import cached, is_cached
from lrctl_workloads.data.hub import HubDataset
from lrctl_workloads.data.tables import file_digest, reading, stream
from lrctl_workloads.network import Array

SIDE = 32


@dataclass(frozen=True)
class CifarSet:
    """A data set of the hub: its name there, the column of the labels, how many kinds of image there are."""

    title: str
    hub: str
    label: str
    classes: int


SETS = {
    "cifar10": CifarSet("CIFAR-10", "uoft-cs/cifar10", "label", 10),
    "cifar100": CifarSet("CIFAR-100", "uoft-cs/cifar100", "fine_label", 100),
}
HUB_IMAGES = 60_000
"""How many images either has on the hub, both splits together."""


def cifar(data: str, path: str) -> tuple[Array, Array | None, str]:
    """The training split, the test split if there is one, and a digest of both.

    Images are decoded once, then mapped from the cache. A split is a row for each image: 3 * 32 * 32 pixels,
    channel by channel, and the label; uint8. The path is "" for the hub's, else a parquet file, or a folder of files
    named train*.parquet and test*.parquet.
    """
    import numpy as np

    images, tables, digests = SETS[data], {}, []
    for split, parquet in files(images, path).items():

        def write(file: BinaryIO, split: str = split, parquet: list[Path] = parquet) -> None:
            np.save(file, decoded(images, split, parquet, f"workload.path: '{path or images.hub}' ({split})"))

        file, digest = cached(cached_as(data, split, parquet), write)
        # Plain views: numpy's own class for mapped files makes each indexing slow.
        tables[split] = np.asarray(np.load(file, mmap_mode="r"))
        digests.append(f"{split} {digest}")
    return tables["train"], tables.get("test"), hashlib.sha256("\n".join(digests).encode()).hexdigest()


def ready(data: str, path: str) -> bool:
    return all(is_cached(cached_as(data, split, parquet)) for split, parquet in files(SETS[data], path).items())


def cached_as(data: str, split: str, parquet: list[Path]) -> str:
    key = hashlib.sha256("\n".join([split, *map(file_digest, parquet)]).encode()).hexdigest()[:32]
    return f"{data}-{key}.npy"


def files(images: CifarSet, path: str) -> dict[str, list[Path]]:
    """The parquet files of each split; a file alone is the training split, and no path is the hub's, without files."""
    if not path:
        return {"train": [], "test": []}
    given = Path(path).expanduser()
    if not given.is_dir():
        if not given.exists() or given.suffix != ".parquet":
            raise UsageError(
                f"workload.path: '{path}' is no .parquet file and no folder; give one with {images.title}'s columns ("
                f"img, {images.label}), or leave it empty for the hub's"
            )
        return {"train": [given]}
    found = sorted(given.rglob("*.parquet"))
    splits = {split: [file for file in found if file.name.startswith(split)] for split in ("train", "test")}
    other = set(found).difference(*splits.values())
    if other or not splits["train"]:
        what = f"'{min(other).name}', which is neither" if other else "no train*.parquet"
        raise UsageError(
            f"workload.path: the folder '{path}' holds {what}; name its files train*.parquet and test*.parquet"
        )
    return {split: parquet for split, parquet in splits.items() if parquet}


def decoded(images: CifarSet, split: str, parquet: list[Path], where: str) -> Array:
    """The rows of a split: of these files, or of the hub's; `where` is what errors call them."""
    import numpy as np

    hub = None if parquet else HubDataset.parse(images.hub, where)
    with reading(where, hub):
        rows = list(encoded(images, hub.stream(split) if hub else stream(parquet, split), where))
    return np.stack(rows) if rows else np.empty((0, 3 * SIDE * SIDE + 1), np.uint8)


def encoded(images: CifarSet, table: Any, where: str) -> Iterator[Array]:
    import numpy as np
    from datasets import Image

    columns = sorted(table.column_names or next(iter(table), {}))
    if columns and not {"img", images.label} <= {*columns}:
        raise UsageError(f"{where} has the columns {', '.join(columns)}; it must have img and {images.label}")
    for number, row in enumerate(table.cast_column("img", Image(mode="RGB")), 1):
        image, label = np.asarray(row["img"]), row[images.label]
        if image.shape != (SIDE, SIDE, 3):
            raise UsageError(
                f"{where}, row {number}: the image is {image.shape[1]}x{image.shape[0]}; scale it to {SIDE}x{SIDE}"
            )
        if label not in range(images.classes):
            raise UsageError(f"{where}, row {number}: {images.label} must be 0 to {images.classes - 1}, got {label!r}")
        yield np.append(image.transpose(2, 0, 1).ravel(), np.uint8(label))
