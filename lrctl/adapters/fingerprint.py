"""A digest of objects of the user's: their code as it runs, and their data.

Imports torch.
"""

from __future__ import annotations

import dis
import hashlib
import io
import pickle
import sys
from collections.abc import Iterator
from types import CodeType, FunctionType, MappingProxyType, ModuleType
from typing import Any

import torch

from lrctl.errors import UsageError
from lrctl.recipe.sources import LRCTL, installed, versions

UNTOLD = ("__dict__", "__weakref__", "__doc__", "__module__", "__firstlineno__", "__static_attributes__", "_abc_impl")
"""Attributes of a class that decide nothing, or that each process has anew."""


def fingerprint(value: Any, where: str) -> str:
    """The sha256 of a value: equal parts have equal ones, in another process too.

    Code of the user's counts by what it compiles to, installed code by the version of its package.

    Raises:
        UsageError: it holds what cannot be told.
    """
    total, packages = Sink(), set[str]()
    try:
        Told(total, packages).dump(value)
    except Exception as error:
        raise UsageError(
            f"{where}: it cannot be told what it holds ({type(error).__name__}: {error}); put it into a file, and give "
            "that as workload='file.py:workload'"
        ) from error
    total.write(repr(sorted(versions(packages - sys.stdlib_module_names - {LRCTL}).items())).encode())
    return total.digest.hexdigest()


class Sink(io.RawIOBase):
    """A file that only its digest is left of."""

    def __init__(self) -> None:
        self.digest = hashlib.sha256()

    def write(self, data: Any) -> int:
        self.digest.update(data)
        return memoryview(data).nbytes


class Told(pickle.Pickler):
    """Writes what objects are, to be digested and never to be read."""

    def __init__(self, file: Any, packages: set[str]) -> None:
        super().__init__(file, protocol=5)
        self.packages = packages

    def reducer_override(self, value: Any) -> Any:
        if isinstance(value, ModuleType):
            return told("module", value.__name__)
        if isinstance(value, FunctionType | type):
            return self.code(value)
        if isinstance(value, CodeType):
            # A set in the source is a frozenset here, whose order is another in each process.
            constants = [sorted(c, key=repr) if isinstance(c, frozenset) else c for c in value.co_consts]
            return told("code", value.co_code, constants, value.co_names, value.co_varnames)
        if isinstance(value, torch.Tensor) and value.layout == torch.strided:
            content = hashlib.sha256(value.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data)
            return told("tensor", str(value.dtype), tuple(value.shape), value.requires_grad, content.hexdigest())
        if isinstance(value, MappingProxyType):
            return told("mapping", dict(value))
        if isinstance(value, staticmethod | classmethod):
            return told(type(value).__name__, value.__func__)
        if isinstance(value, property):
            return told("property", value.fget, value.fset, value.fdel)
        return NotImplemented

    def code(self, value: Any) -> Any:
        module = sys.modules.get(value.__module__)
        file = getattr(module, "__file__", None)
        if module is not None and value.__module__ != "__main__" and (file is None or installed(file)):
            self.packages.add(value.__module__.partition(".")[0])
            # What stands at the top of its module is told by its name, as pickles tell it.
            return (
                told("installed", value.__module__, value.__qualname__) if "<" in value.__qualname__ else NotImplemented
            )
        # As a state, which is written once the object is known: it may refer to itself.
        if isinstance(value, type):
            own = {name: item for name, item in vars(value).items() if name not in UNTOLD}
            return (str, (f"class {value.__qualname__}",), (value.__bases__, own))
        cells = [cell.cell_contents for cell in value.__closure__ or ()]
        used = {name: value.__globals__[name] for name in globals_of(value.__code__) if name in value.__globals__}
        state = (value.__code__, value.__defaults__, value.__kwdefaults__, cells, used)
        return (str, (f"function {value.__qualname__}",), state)


def told(kind: str, *what: Any) -> tuple[Any, ...]:
    return (str, (kind, what)) if what else (str, (kind,))


def globals_of(code: CodeType) -> list[str]:
    """The names that a function takes from its module, functions within it included."""
    return sorted({*global_names(code)})


def global_names(code: CodeType) -> Iterator[str]:
    yield from (each.argval for each in dis.get_instructions(code) if each.opname in ("LOAD_GLOBAL", "LOAD_NAME"))
    for inner in code.co_consts:
        if isinstance(inner, CodeType):
            yield from global_names(inner)
