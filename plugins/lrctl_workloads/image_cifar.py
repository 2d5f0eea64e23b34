"""CIFAR-10, or images of its kind: from the hub, or from parquet files of its columns `img` and `label`."""

from __future__ import annotations

import glob
import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from lrctl.errors import UsageError
from lrctl_workloads.cache import cached
from lrctl_workloads.corpus import sha256

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, np.dtype[Any]]

HUB = "uoft-cs/cifar10"
SIDE, CLASSES = 32, 10


def cifar10(path: str) -> tuple[Array, Array | None, str]:
    """The training split, the test split if there is one, and a digest of both.

    Images are decoded once, then mapped from the cache. A split is a row for each image: 3 * 32 * 32 pixels,
    channel by channel, and the label; uint8.

    Args:
        path: "" is the hub's; else a parquet file, or a folder of files named train*.parquet and test*.parquet.

    Raises:
        UsageError: the images cannot be had, or are not of CIFAR-10's kind.
    """
    import numpy as np

    splits = files(path) if path else {"train": [], "test": []}
    tables, digests = {}, []
    for split, parquet in splits.items():
        key = hashlib.sha256("\n".join([split, *map(sha256, parquet)]).encode()).hexdigest()[:32]

        def write(file: BinaryIO, split: str = split, parquet: list[Path] = parquet) -> None:
            np.save(file, decoded(split, parquet, f"'{path or HUB}' ({split})"))

        place, digest = cached(f"cifar10-{key}.npy", write)
        # Plain views: numpy's own class for mapped files makes each indexing slow.
        tables[split] = np.asarray(np.load(place, mmap_mode="r"))
        digests.append(f"{split} {digest}")
    return tables["train"], tables.get("test"), hashlib.sha256("\n".join(digests).encode()).hexdigest()


def files(path: str) -> dict[str, list[Path]]:
    """The parquet files of each split, by name; a file alone is the training split.

    Raises:
        UsageError: there are none, or a file of a folder belongs to neither split.
    """
    place = Path(path).expanduser()
    if not place.is_dir():
        if not place.exists() or place.suffix != ".parquet":
            raise UsageError(
                f"workload.path: '{path}' is no .parquet file and no folder; give one of CIFAR-10's columns (img, "
                "label), or leave it empty for the hub's"
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


def decoded(split: str, parquet: list[Path], source: str) -> Array:
    """The rows of a split: of these files, or of the hub's; `source` is what errors call them.

    Raises:
        UsageError: they cannot be had or decoded, or are not of CIFAR-10's kind.
    """
    import numpy as np

    try:
        rows = list(encoded(split, parquet, source))
    except UsageError:
        raise
    except Exception as error:  # The library lets many types through, of its own and of those below it.
        do = "check the files" if parquet else "connect to the network once, or give a local path"
        raise UsageError(
            f"workload.path: {source} cannot be read ({type(error).__name__}: "
            f"{(str(error).splitlines() or [''])[0]}); {do}"
        ) from error
    return np.stack(rows) if rows else np.empty((0, 3 * SIDE * SIDE + 1), np.uint8)


def encoded(split: str, parquet: list[Path], source: str) -> Iterator[Array]:
    """Each image as a row.

    Raises:
        UsageError: a column is missing, an image has another size, or a label is out of range.
    """
    import numpy as np

    # 0.8 s, so only where it is needed.
    from datasets import Image, load_dataset

    name, chosen = ("parquet", {split: [glob.escape(str(file)) for file in parquet]}) if parquet else (HUB, None)
    # Streaming leaves no second copy of the data in the library's own cache.
    table = load_dataset(name, data_files=chosen, split=split, streaming=True)
    columns = sorted(table.column_names or next(iter(table), {}))
    if columns and not {"img", "label"} <= {*columns}:
        raise UsageError(f"workload.path: {source} has the columns {', '.join(columns)}; it must have img and label")
    for number, row in enumerate(table.cast_column("img", Image(mode="RGB")), 1):
        image, label = np.asarray(row["img"]), row["label"]
        if image.shape != (SIDE, SIDE, 3):
            raise UsageError(
                f"workload.path: {source}, row {number}: the image is {image.shape[1]}x{image.shape[0]}; scale it to "
                f"{SIDE}x{SIDE}"
            )
        if label not in range(CLASSES):
            raise UsageError(f"workload.path: {source}, row {number}: label must be 0 to {CLASSES - 1}, got {label!r}")
        yield np.append(image.transpose(2, 0, 1).ravel(), np.uint8(label))
