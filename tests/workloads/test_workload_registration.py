from __future__ import annotations

import subprocess
import sys
from dataclasses import fields
from typing import Annotated, Any, Literal, get_args, get_origin, get_type_hints

import pytest

import lrctl_workloads

OWN = ["gpt", "images", "linear-regression", "exact-linear-regression"]
TASKS = [
    *("translation", "summarization", "question-answering", "token-classification"),
    *("image-classification", "segmentation"),
]


def registered() -> dict[str, dict[str, Any]]:
    parts: dict[str, dict[str, Any]] = {}

    def register(build: Any, *, name: str, params: Any, help: str) -> None:  # noqa: A002
        parts[name] = {"build": build, "params": params, "help": help}

    lrctl_workloads.register_workloads(register)
    return parts


def test_the_workloads_have_their_names() -> None:
    assert list(registered()) == [*OWN, *TASKS]


@pytest.mark.parametrize("name", OWN)
def test_every_parameter_has_a_help_text_and_a_default(name: str) -> None:
    part = registered()[name]
    part["build"](part["params"](), 0)
    hints = get_type_hints(part["params"], include_extras=True)
    for field in fields(part["params"]):
        hint = hints[field.name]
        assert get_origin(hint) is Annotated
        kind, text, *_ = get_args(hint)
        assert field.default in get_args(kind) if get_origin(kind) is Literal else isinstance(field.default, kind)
        assert text


def test_registering_and_building_imports_neither_torch_nor_numpy() -> None:
    program = (
        "import sys, lrctl_workloads as w\n"
        "w.register_workloads(lambda build, *, name, params, help: build(params(), 0))\n"
        "heavy = 'torch numpy datasets tiktoken tokenizers sklearn mlxtend'.split()\n"
        "print([m for m in heavy if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
