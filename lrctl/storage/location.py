"""Where a store is asked to be: a folder, or the URL of a place in a storage that fsspec knows."""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import unquote, urlsplit

from lrctl.errors import UsageError

URL = re.compile(r"[a-zA-Z][a-zA-Z0-9+.-]+:(?:.*:)?//|(?:file|local|memory):")

HERE = ("file", "local")
"""What fsspec calls the file system of this machine."""


def is_url(place: str | Path) -> bool:
    return isinstance(place, str) and bool(URL.match(place))


def location(place: str | Path) -> Path | str:
    """The absolute path of a folder, or a URL.

    >>> location("s3://bucket/runs/"), location("memory:"), location("file:///data/store").as_posix()
    ('s3://bucket/runs', 'memory://', '/data/store')

    Raises:
        UsageError: it is a URL that holds what must be kept secret, or is not of this form.
    """
    if isinstance(place, Path) or not is_url(place):
        return Path(place).absolute()
    protocol, _, rest = place.partition(":")
    if protocol.lower() in HERE:
        return Path(unquote(re.sub(r"^//(localhost(?=/))?", "", rest))).absolute()
    check(place)
    name = rest.strip("/")
    return f"{protocol.lower()}://{name}"


def check(url: str) -> None:
    parts = urlsplit(url)
    where = f"--store {url.partition(':')[0]}:"
    if "::" in url:
        raise UsageError(f"{where} this URL goes through several storages; give that of one, PROTOCOL://BUCKET/PATH")
    if not parts.netloc + parts.path.strip("/") and parts.scheme != "memory":
        raise UsageError(f"{where} this URL names no place; give PROTOCOL://BUCKET/PATH")
    if ":" in parts.netloc.rpartition("@")[0] or parts.query or parts.fragment:
        raise UsageError(
            f"{where} a URL with a password, a query or a fragment is not taken, since it is shown and kept; give "
            "PROTOCOL://BUCKET/PATH, and the credentials as the storage's own library takes them"
        )
