from __future__ import annotations

import subprocess
import sys
from dataclasses import fields
from typing import Annotated, Literal, get_args, get_origin, get_type_hints

import pytest

from lrctl.registry.registry import registry

WORKLOADS = [
    *("gpt", "images", "linear-regression", "exact-linear-regression"),
    *("translation", "summarization", "question-answering", "token-classification"),
    *("image-classification", "segmentation", "program"),
]


def test_the_workloads_have_their_names() -> None:
    assert sorted(registry().names("workload")) == sorted(WORKLOADS)


@pytest.mark.parametrize("name", WORKLOADS)
def test_every_parameter_has_a_help_text_and_a_default(name: str) -> None:
    part = registry().get("workload", name)
    part.target(part.params(), 0)
    hints = get_type_hints(part.params, include_extras=True)
    for field in fields(part.params):
        hint = hints[field.name]
        assert get_origin(hint) is Annotated
        kind, text, *_ = get_args(hint)
        assert (
            field.default in get_args(kind)
            if get_origin(kind) is Literal
            else isinstance(field.default, get_origin(kind) or kind)
        )
        assert text


def test_building_them_imports_nothing_heavy() -> None:
    program = f"""
import sys
from lrctl.registry.registry import registry
for part in [registry().get("workload", name) for name in {WORKLOADS}]:
    part.target(part.params(), 0)
heavy = "torch numpy datasets tiktoken tokenizers sklearn mlxtend transformers PIL".split()
print([module for module in heavy if module in sys.modules])
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
