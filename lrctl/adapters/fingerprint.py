"""A digest of objects of the user's: their code as it runs, and their data.

Imports torch.
"""

from __future__ import annotations

import functools
import hashlib
import io
import operator
import pickle
import sys
from collections.abc import Mapping
from pathlib import Path
from types import CodeType, FunctionType, MappingProxyType, ModuleType
from typing import Any

import torch

from lrctl.adapters.used import imported, is_own, used
from lrctl.errors import UsageError
from lrctl.recipe.sources import LRCTL, installed, located, source_of, versions

UNTOLD = ("__dict__", "__weakref__", "__doc__", "__module__", "__firstlineno__", "__static_attributes__", "_abc_impl")
"""Attributes of a class that decide nothing, or that each process has anew."""


def fingerprint(value: Any, where: str) -> str:
    """The sha256 of a value: equal parts have equal ones, in another process too.

    Code of the user's counts by what it compiles to, installed code by the version of its package. A module of the
    user's counts by its source and all that this imports, and by what is taken from it.

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
        self.sets: dict[int, tuple[Any, list[str]]] = {}

    def persistent_id(self, value: Any) -> Any:
        """Tells a set, whose order is another in each process, by what its members are; None leaves it to the rest."""
        if not isinstance(value, set | frozenset) or len(value) < 2:
            return None
        if id(value) not in self.sets:
            self.sets[id(value)] = (value, sorted(map(self.member, value)))
        return [type(value), self.sets[id(value)][1], getattr(value, "__dict__", None)]

    def member(self, value: Any) -> str:
        sink = Sink()
        Told(sink, self.packages).dump(value)
        return sink.digest.hexdigest()

    def reducer_override(self, value: Any) -> Any:
        if isinstance(value, ModuleType):
            file = getattr(value, "__file__", None) if is_own(value) else None  # a folder has none
            return told("module", value.__name__, *source({value.__name__: Path(file)} if file else {}))
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
        if isinstance(value, functools.cached_property):
            return told("cached_property", value.func)
        if isinstance(value, functools._lru_cache_wrapper):
            return told("lru_cache", value.__wrapped__)
        return NotImplemented

    def code(self, value: Any) -> Any:
        module = sys.modules.get(value.__module__)
        file = getattr(module, "__file__", None)
        if module is not None and value.__module__ != "__main__" and (file is None or installed(file)):
            self.packages.add(value.__module__.partition(".")[0])
            # What stands at the top of its module is told by its name, as pickles tell it.
            if "<" not in value.__qualname__ and (isinstance(value, type) or is_named(value, module)):
                return NotImplemented
            name, enclosed = told("installed", value.__module__, value.__qualname__), cells(value)
            return (*name, enclosed) if enclosed else name
        # As a state, which is written once the object is known: it may refer to itself.
        if isinstance(value, type):
            own = {name: item for name, item in vars(value).items() if name not in UNTOLD}
            return (str, (f"class {value.__qualname__}",), (value.__bases__, own))
        names = value.__globals__
        state = (value.__code__, value.__defaults__, value.__kwdefaults__, cells(value), used(value.__code__, names))
        return (str, (f"function {value.__qualname__}",), (*state, *self.imports(value)))

    def imports(self, function: FunctionType) -> list[str]:
        """The source of what a function imports when it runs, if that is the user's; of packages, their names."""
        files: dict[str, Path] = {}
        package = function.__globals__.get("__package__") or ""
        for name in imported(function.__code__, package):
            own = dict(located(name, ()))
            files |= own
            self.packages |= set() if own else {name.partition(".")[0]}
        return source(files)


def source(files: Mapping[str, Path]) -> list[str]:
    return [source_of(files, {}).digest] if files else []


def is_named(value: Any, module: ModuleType) -> bool:
    """Whether its module has it by its name."""
    try:
        return operator.attrgetter(value.__qualname__)(module) is value
    except AttributeError:
        return False


def cells(value: Any) -> list[Any]:
    """What a function that was made within another one has from that."""
    return [cell.cell_contents for cell in getattr(value, "__closure__", None) or ()]


def told(kind: str, *what: Any) -> tuple[Any, ...]:
    return (str, (kind, what)) if what else (str, (kind,))
