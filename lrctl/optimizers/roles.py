"""What each parameter is to its model.

Imports torch.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import nn
from torch.nn.modules.conv import _ConvNd
from torch.nn.utils.parametrize import is_parametrized

EMBEDDINGS = (nn.Embedding, nn.EmbeddingBag)

OUTPUT = {"output", "outputs", "head", "unembed", "unembedding", "classifier"}
"""Words at the beginning or end of a name that tell the last part of a model."""


def roles(model: nn.Module) -> dict[str, str]:
    """The role of each parameter by name.

    `embedding` is the weight of an `nn.Embedding`. `output` is the one that another module has too (tied), else the
    last matrix of what is called so beside the body, else the last matrix. Others with two sides or more that are
    longer than 1 are `matrix`, unless they are tables of biases or positions, and all else is `vector`.
    """
    named, at = dict(model.named_parameters()), holders(model)
    looked_up = {name: sum(isinstance(each, EMBEDDINGS) for each in at[id(p)]) for name, p in named.items()}
    tied = [name for name, p in named.items() if 0 < looked_up[name] < len(at[id(p)])]
    left = {name: p for name, p in named.items() if not looked_up[name] and not is_table(name, p, at[id(p)])}
    weights = {name: p for name, p in left.items() if p.ndim == 2 or wide(p) or (p.ndim > 1 and convolves(at[id(p)]))}
    outputs = tied or called_output(model, weights) or list(weights)[-1:]
    matrices = [name for name, p in weights.items() if wide(p)]  # others are as vectors
    found = {name: "embedding" if looked_up[name] else "vector" for name in named}
    return found | dict.fromkeys(matrices, "matrix") | dict.fromkeys(outputs, "output")


def holders(model: nn.Module) -> dict[int, list[nn.Module]]:
    """The modules that have each parameter, by its id; a module that is registered twice counts once.

    What a parametrisation made of a weight, such as the two parts of `weight_norm`, is the module's own.
    """
    found: dict[int, list[nn.Module]] = {}
    within: set[int] = set()
    for module in model.modules():  # a module comes before its parametrisations
        below = [*module.get_submodule("parametrizations").modules()] if is_parametrized(module) else []
        for part in (module, *below) if id(module) not in within else ():
            for parameter in part.parameters(recurse=False):
                found.setdefault(id(parameter), []).append(module)
        within |= {id(part) for part in below}
    return found


def wide(parameter: torch.Tensor) -> bool:
    """Whether two sides or more are longer than 1."""
    return sum(side > 1 for side in parameter.shape) > 1


def convolves(at: Sequence[nn.Module]) -> bool:
    return any(isinstance(each, _ConvNd) or "conv" in type(each).__name__.lower() for each in at)


def is_table(name: str, parameter: torch.Tensor, at: Sequence[nn.Module]) -> bool:
    """Whether a parameter is a table of biases or positions: called so, or of shape (1, n, d), as for a batch."""
    words = name.rpartition(".")[2].lower().split("_")
    called = any(word in ("bias", "pos") or word.startswith("position") for word in words)
    return called or (parameter.ndim == 3 and parameter.shape[0] == 1 and not convolves(at))


def called_output(model: nn.Module, weights: Mapping[str, torch.Tensor]) -> list[str]:
    """The last matrix of each part of a model that is called its output: beside its body, not in a block of that."""
    own, parts = dict(model.named_parameters(recurse=False)), dict(model.named_children())
    below = {name: part for name, part in parts.items() if any(True for _ in part.parameters())}
    if not own and len(below) == 1:  # a wrapper
        ((prefix, inner),) = below.items()
        within = {name.removeprefix(f"{prefix}."): p for name, p in weights.items()}
        return [f"{prefix}.{name}" for name in called_output(inner, within)]
    by_part: dict[str, str] = {name.partition(".")[0]: name for name in weights}
    return [last for part, last in by_part.items() if OUTPUT & {*ends(part)}]


def ends(name: str) -> Sequence[str]:
    """The first and the last word of a name."""
    words = name.lower().split("_")
    return words[0], words[-1]


def stacks(model: nn.Module) -> set[int]:
    """The ids of parameters that hold a matrix for each of several experts: three sides, and no convolution."""
    at = holders(model)
    return {id(p) for p in model.parameters() if p.ndim == 3 and not convolves(at[id(p)])}
