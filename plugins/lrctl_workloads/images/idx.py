"""Fashion-MNIST, or images of its kind: four files in the IDX format, from a Debian package or a folder."""

from __future__ import annotations

import gzip
import hashlib
import zlib
from pathlib import Path

from lrctl.documents import open_regular
from lrctl.errors import MissingError, UsageError
from lrctl_workloads.network import Array

PACKAGE = "dataset-fashion-mnist"
FOLDER = Path("/usr/share/datasets/fashion-mnist")
"""Where the Debian package puts its files."""

SHA256 = {
    "train-images-idx3-ubyte": "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
    "train-labels-idx1-ubyte": "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
    "t10k-images-idx3-ubyte": "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
    "t10k-labels-idx1-ubyte": "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
}
"""The files' names, and the digests of the package's, unpacked: compression may differ between its versions."""

SIDE, CLASSES = 28, 10


def fashion_mnist(path: str) -> tuple[Array, Array, str]:
    """The training split, the test split, and a digest of both.

    A split is a row for each image: 28 * 28 pixels and the label; uint8. The path is "" for the Debian package, else a
    folder with the four files, gzipped or not. MNIST's have the same form.
    """
    contents = [unpacked(find(name, path)) for name in SHA256]
    digests = [hashlib.sha256(content).hexdigest() for content in contents]
    if not path and digests != [*SHA256.values()]:
        raise UsageError(
            f"workload.data: the files in {FOLDER} are not those of Fashion-MNIST; "
            f"run: apt-get install --reinstall {PACKAGE}"
        )
    training, test = (
        table(contents[i], contents[i + 1], f"'{path}' ({name})") for i, name in ((0, "train"), (2, "t10k"))
    )
    return training, test, hashlib.sha256("\n".join(digests).encode()).hexdigest()


def find(name: str, path: str) -> Path:
    folder = Path(path).expanduser() if path else FOLDER
    for file in (folder / f"{name}.gz", folder / name):
        if file.is_file():
            return file
    if path:
        raise UsageError(
            f"workload.path: '{path}' has no {name}.gz; give a folder with the four files {', '.join(SHA256)}, gzipped "
            "or not"
        )
    raise MissingError(
        f"workload.data: the images of 'fashion-mnist' are not in {folder}; run: apt-get install {PACKAGE}, or give "
        "workload.path a folder with the four IDX files"
    )


def ready(path: str) -> bool:
    """Whether all files are there; with a path they have to be."""
    try:
        return all(find(name, path) for name in SHA256)
    except MissingError:
        return False


def unpacked(file: Path) -> bytes:
    try:
        with open_regular(file) as opened:
            content = opened.read()
        return gzip.decompress(content) if file.suffix == ".gz" else content
    except (OSError, EOFError, zlib.error) as error:
        raise UsageError(f"workload.path: '{file}' cannot be read ({error}); get it anew") from error


def table(images: bytes, labels: bytes, source: str) -> Array:
    """A row for each image; `source` is what errors call the files."""
    import numpy as np

    pixels, kinds = idx(images, 3, f"{source} images"), idx(labels, 1, f"{source} labels")
    if pixels.shape != (len(kinds), SIDE, SIDE):
        n, height, breadth = pixels.shape
        raise UsageError(
            f"workload.path: {source} has {n} images of {breadth}x{height} and {len(kinds)} labels; there must be as "
            f"many of each, of {SIDE}x{SIDE}"
        )
    if kinds.max(initial=0) >= CLASSES:
        raise UsageError(f"workload.path: {source}: labels must be 0 to {CLASSES - 1}, got {kinds.max()}")
    return np.concatenate([pixels.reshape(len(kinds), -1), kinds[:, None]], axis=1)


def idx(content: bytes, dimensions: int, source: str) -> Array:
    """An array of bytes in the IDX format: 0, 0, 8 (bytes), the dimensions, their sizes (big endian), the values."""
    import numpy as np

    start = 4 + 4 * dimensions
    sizes = np.frombuffer(content[4:start], ">u4").tolist() if len(content) >= start else []
    if content[:4] != bytes((0, 0, 8, dimensions)) or len(content) - start != np.prod(sizes, dtype=object):
        raise UsageError(
            f"workload.path: {source}: {len(content)} bytes are no IDX file of bytes in {dimensions} dimensions; "
            "get it anew"
        )
    return np.frombuffer(content, np.uint8, offset=start).reshape(sizes)
