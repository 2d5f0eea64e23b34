from __future__ import annotations

from collections.abc import Iterator

import pytest

from lrctl.engine.quiet import quiet_torch


@pytest.fixture
def as_in_a_job() -> Iterator[None]:
    """Torch as jobs have it, for the length of a test."""
    with quiet_torch(1):
        yield
