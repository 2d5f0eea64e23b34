"""The source of a family's formula: its `__call__` and the functions that it calls, with parameters as constants."""

from __future__ import annotations

import ast
import builtins
import inspect
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from importlib import import_module
from textwrap import dedent, fill, indent
from types import FunctionType, ModuleType
from typing import Any

FRAMEWORKS = ("LRScheduler", "Scheduler", "scales", "make_scheduler", "configure", "schedule", "np", "jnp")
MADE = ("torch", "optimizer", "training_arguments", "make_schedule", "param_groups", "FOUND_WITH", "GROUPS")
WATCHED = ("LINE", "watch")
CLASSES = ("Muon", "orthogonal", "ScheduleFree")
RESERVED = ("lr", "LRS", "TABLE", *FRAMEWORKS, *MADE, *WATCHED, *CLASSES)
"""Names that a formula may not have: exports define them."""

WIDTH = 100

UNBROKEN = "\0"
"""Stands for a space at which a line is not broken. No literal holds this character: its repr is an escape."""


class NotCarriedError(Exception):
    """A formula cannot be carried; says why."""


def carried(schedule: Any, steps: int) -> tuple[tuple[str, ...], str]:
    """The imports and the source of a family's formula."""
    call = type(schedule).__call__
    if not isinstance(call, FunctionType):
        raise NotCarriedError("its __call__ is not a plain method")
    tree = tree_of(call)
    self_, *arguments = [argument.arg for argument in (*tree.args.posonlyargs, *tree.args.args)]
    if len(arguments) != 1:
        raise NotCarriedError("its __call__ takes more than the step")
    reader = _Fields(self_, {f.name for f in fields(schedule)})
    tree = reader.visit(tree)
    used = {f.name.upper(): getattr(schedule, f.name) for f in fields(schedule) if f.name in reader.used}
    if taken := [name for name in used if name in RESERVED]:
        raise NotCarriedError(f"two things in it are called {taken[0]}")
    params = {"STEPS": steps} | used
    if params["STEPS"] != steps:
        raise NotCarriedError(f"it is made for {params['STEPS']} steps")
    body = tree.body[1:] if ast.get_docstring(tree) else tree.body
    step = arguments[0]
    beyond = f"f'the schedule has {{STEPS}} steps, and step {{{step}}} is after them'"
    lr: Any = ast.parse(f"def lr({step}):\n    if {step} > STEPS:\n        raise ValueError({beyond})").body[0]
    lr.body += body
    needs = Needs({"lrctl", call.__module__.partition(".")[0]}, dict.fromkeys(RESERVED) | params)
    needs.take(lr, {**call.__globals__, **params})
    constants = [constant(name, value) for name, value in params.items()]
    return tuple(sorted(needs.imports)), layout([*constants, *needs.definitions, _unparsed(lr)])


def tree_of(function: FunctionType) -> Any:
    """The syntax tree of a function, without annotations and with the first line of its docstring."""
    try:
        (tree,) = ast.parse(dedent(inspect.getsource(function))).body
    except (OSError, SyntaxError, ValueError) as error:
        raise NotCarriedError(f"the source of {function.__name__} cannot be read: {error}") from error
    if not isinstance(tree, ast.FunctionDef):
        raise NotCarriedError(f"{function.__name__} is not a plain function")
    return _Plain().visit(tree)


class _Plain(ast.NodeTransformer):
    """Drops annotations, and all of a docstring but its first line."""

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        node.returns = None
        if text := ast.get_docstring(node):
            node.body[0] = ast.Expr(ast.Constant(text.partition("\n")[0]))
        return self.generic_visit(node)

    def visit_arg(self, node: ast.arg) -> ast.AST:
        return ast.arg(node.arg)

    def visit_AnnAssign(self, node: ast.AnnAssign) -> ast.AST | None:
        return self.generic_visit(ast.Assign([node.target], node.value)) if node.value else None


@dataclass(slots=True)
class _Fields(ast.NodeTransformer):
    """Turns `self.peak_lr` into `PEAK_LR`, and notes that it is used."""

    self_: str
    fields: set[str]
    used: set[str] = field(default_factory=set)

    def visit_Attribute(self, node: ast.Attribute) -> ast.AST:
        if not (isinstance(node.value, ast.Name) and node.value.id == self.self_):
            return self.generic_visit(node)
        if node.attr not in self.fields:
            raise NotCarriedError(f"it uses {self.self_}.{node.attr}, which is not a field")
        self.used.add(node.attr)
        return ast.Name(node.attr.upper(), node.ctx)

    def visit_Name(self, node: ast.Name) -> ast.AST:
        if node.id == self.self_:
            raise NotCarriedError(f"it hands {self.self_} on")
        return node


@dataclass(slots=True)
class Needs:
    """What a formula needs: imports, and the definitions of its packages in the order in which they must stand.

    Attributes:
        known: what each name stands for; a name cannot stand for two things.
    """

    packages: set[str]
    known: dict[str, Any]
    imports: set[str] = field(default_factory=set)
    definitions: list[str] = field(default_factory=list)

    def take(self, tree: ast.AST, namespace: Mapping[str, Any]) -> None:
        for name in free_names(tree):
            if name in namespace:
                self.add(name, namespace[name])
            elif not hasattr(builtins, name):
                raise NotCarriedError(f"nothing at the top of its module is called {name}")

    def add(self, name: str, value: Any) -> None:
        if name in self.known:
            if self.known[name] is not value:
                raise NotCarriedError(f"two things in it are called {name}")
            return
        self.known[name] = value
        module = value.__name__ if isinstance(value, ModuleType) else ""
        if inspect.isroutine(value) or isinstance(value, type):
            module = value.__module__ or ""
        package = module.partition(".")[0]
        if package.lstrip("_") in sys.stdlib_module_names:
            self.imports.add(import_of(name, value, module))
        elif isinstance(value, FunctionType) and package in self.packages:
            tree = tree_of(value)
            tree.name = name
            self.take(tree, value.__globals__)
            self.definitions.append(_unparsed(tree))
        else:
            self.definitions.append(constant(name, value))


def free_names(tree: ast.AST) -> list[str]:
    """The names that a function reads and does not bind within itself, in the order in which they are met.

    >>> free_names(ast.parse("def f(x): return [a * x for a in B]"))
    ['B']
    """
    _, *nodes = ast.walk(tree)
    if any(isinstance(node, ast.Import | ast.ImportFrom | ast.Global) for node in nodes):
        raise NotCarriedError("a function of it imports something")
    bound = {node.id for node in nodes if isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load)}
    bound |= {node.arg for node in nodes if isinstance(node, ast.arg)}
    bound |= {node.name for node in nodes if isinstance(getattr(node, "name", None), str)}  # type: ignore[attr-defined]
    read = [node.id for node in nodes if isinstance(node, ast.Name)]
    return [name for name in dict.fromkeys(read) if name not in bound]


def import_of(name: str, value: Any, module: str) -> str:
    """The statement that imports a module or function of the standard library under `name`.

    >>> from bisect import bisect_right
    >>> import_of("bisect_right", bisect_right, "_bisect")
    'from bisect import bisect_right'
    """
    if isinstance(value, ModuleType):
        return f"import {module}" if name == module else f"import {module} as {name}"
    home, own = module.lstrip("_"), value.__qualname__
    if getattr(import_module(home), own, None) is not value:
        raise NotCarriedError(f"{name} of the standard library cannot be imported by its name")
    return f"from {home} import {own}" + ("" if own == name else f" as {name}")


def constant(name: str, value: Any) -> str:
    """An assignment of a literal; a long tuple is wrapped.

    >>> constant("KNOTS", ((0, 0.0), (10, 0.5)))
    'KNOTS = ((0, 0.0), (10, 0.5))'
    """
    try:
        same = ast.literal_eval(repr(value)) == value
    except (ValueError, SyntaxError):
        same = False
    if not same:
        raise NotCarriedError(f"{name} is {type(value).__name__}, which cannot be written as a literal")
    line = f"{name} = {value!r}"
    if len(line) <= WIDTH or not isinstance(value, tuple):
        return line
    items = " ".join(f"{item!r},".replace(" ", UNBROKEN) for item in value)
    lines = fill(items, WIDTH - 4, break_on_hyphens=False, break_long_words=False)
    return f"{name} = (\n{indent(lines, '    ')}\n)".replace(UNBROKEN, " ")


def _unparsed(tree: ast.AST) -> str:
    return ast.unparse(ast.fix_missing_locations(tree))


def layout(definitions: Sequence[str]) -> str:
    """Definitions one after another, with two empty lines around functions."""
    lines = ""
    for before, text in zip(["", *definitions], definitions, strict=False):
        apart = "def " in (before[:4], text[:4])
        lines += ("\n\n\n" if apart else "\n") * bool(before) + text
    return lines
