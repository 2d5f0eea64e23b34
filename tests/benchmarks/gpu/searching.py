"""Searches as a user starts them, each a process of its own, in a store of its own."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmarks.gpu.measurement import Measurement

STORED = ("cost", "run", "files", "digest")
"""What of a result document tells of its store and of the time it took, and not of what was found."""


def start(strategy: str, recipe: str, store: Path, settings: Mapping[str, Any], *flags: str) -> subprocess.Popen[str]:
    values = [f"--set={key}={json.dumps(value)}" for key, value in settings.items()]
    command = [sys.executable, "-m", "lrctl", strategy, "--recipe", recipe, "--store", str(store), "--json", "--quiet"]
    return subprocess.Popen([*command, *flags, *values], stdout=subprocess.PIPE, text=True)


def end(search: subprocess.Popen[str], seconds: float) -> dict[str, Any]:
    """The result document of a search. One that takes longer is stopped, and raises; so does one that fails."""
    try:
        printed, _ = search.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        search.terminate()
        search.communicate()
        raise
    if search.returncode:
        raise RuntimeError(f"exit code {search.returncode}; see the messages above")
    document: dict[str, Any] = json.loads(printed)
    return document


def found(document: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in document.items() if name not in STORED}


def chosen(document: Mapping[str, Any]) -> list[float]:
    return [segment["chosen"] for segment in document["segments"]]


def quick(measured: Measurement) -> tuple[str, dict[str, Any]]:
    """The recipe and settings of a search on the quickstart model; on a CPU, where it takes longer, of `smoke`.

    No job is stopped early: which ones are depends on what ends first.
    """
    settings = {"training.device": measured.device, "training.stop_early": False}
    if measured.cpu:
        return "smoke", settings
    return "quickstart", {**settings, "training.steps": 150, "strategy.semilocal.segments": 3}
