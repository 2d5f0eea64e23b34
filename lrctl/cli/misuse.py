"""What is wrong with a command line that Typer cannot read, in the words of all other errors."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Sequence
from typing import Any

from lrctl.errors import unknown

KINDS = {"INTEGER": "a whole number", "NUMBER": "a number"}
"""What an option takes, by the word that its help shows for it."""

INSTEAD = {
    "batch-size": "the batches are the workload's: give --set workload.batch_size=N",
    "weight-decay": "give --set optimizer.weight_decay=X",
    "optimizer": "give --set optimizer.name=NAME; `lrctl list` names them",
    "model": "the model is the workload's: give --workload NAME, or --workload file.py:Class",
    "gpu": "give --device cuda",
    "config": "give --recipe FILE",
    "output": "give --store DIR, where results are kept, and export what was found: lrctl export latest --to torch",
}
"""What to give in place of options that other tools have."""

LR = ("lr", "learning-rate", "peak-lr", "base-lr", "max-learning-rate")
FOR_LR = {
    "--grid": "--grid 0.001,0.01 says which LRs it tries first",
    "--initial-lr": "--initial-lr says which one schedules begin with",
    "--max-lr": "--max-lr which one it never exceeds",
}


def sentence(error: Any) -> str:
    """The sentence for what Typer raised: where, what was found, what is allowed, and where to read more."""
    return f"{told(error)} {seen_in(error)}".rstrip()


def told(error: Any) -> str:
    options = [option for param in params_of(error.ctx) for option in (*param.opts, *param.secondary_opts)]
    if (name := getattr(error, "option_name", None)) and hasattr(error, "possibilities"):
        return unknown_option(name, [each for each in options if each.startswith("--")])
    if name:
        return f"{name}: a value must follow it"
    param = getattr(error, "param", None)
    if type(error).__name__ == "MissingParameter" and param is not None:
        return f"{error.ctx.command_path}: {param.metavar or shown_name(param)} is missing; give it"
    if param is not None:
        return bad_value(param, error)
    message = error.format_message()
    extra = re.fullmatch(r"Got unexpected extra argument\S* \((.*)\)\.?", message)
    if extra and (hint := meant(extra[1].split(" "), [each for each in options if each in sys.argv])):
        return f"{extra[1]}: it belongs to no option; {hint}"
    return f"{error.ctx.command_path if error.ctx else 'lrctl'}: {message[:1].lower()}{message[1:].rstrip('.')}"


def meant(words: Sequence[str], given: Sequence[str]) -> str:
    """What to give in place of words that belong to no option; `given` are the options on the command line."""
    if re.search(r"\.py$|:\w+$", words[0]):
        return f"did you mean --workload {words[0]}?"
    if words[0].endswith(".toml"):
        return f"did you mean --recipe {words[0]}?"
    # A word with spaces in it comes in pieces, which are not on the command line.
    at = sys.argv.index(words[0]) if words[0] in sys.argv else 0
    option, first = sys.argv[at - 2 : at] if at > 2 else ("", "")
    if option in given and all(re.fullmatch(r"[\d.e+-]+", word) for word in words):
        return f"did you mean {option} {','.join([first, *words])}, with commas and without spaces?"
    return ""


def unknown_option(name: str, options: Iterable[str]) -> str:
    known, bare = sorted({*options}), name.lstrip("-")
    if bare in LR:
        tell = [words for option, words in FOR_LR.items() if option in known]
        return "; ".join([f"{name}: unknown option; the LR is what a search finds", ", and ".join(tell)]).rstrip("; ")
    if bare in INSTEAD:
        return f"{name}: unknown option; {INSTEAD[bare]}"
    with_hint = str(unknown("option", name, known, name))
    return with_hint.partition("; choose from")[0]  # they are many: the help has them with what they do


def bad_value(param: Any, error: Any) -> str:
    name, value, takes = shown_name(param), given(param), param.metavar or ""
    found = f"{name} {value}" if value is not None else name
    words = takes.replace("|", " ").split()
    if len(words) > 1 and "is not one of" in error.message:
        hint = str(unknown("choice", (value or "").lower(), words)).rpartition("; ")[2]
        allowed = ", ".join(map(repr, words))
        return f"{found}: must be one of {allowed}" + (f"; {hint}" if hint.startswith("did you mean") else "")
    if takes in KINDS:
        return f"{found}: must be {KINDS[takes]}"
    return f"{found}: {error.message.removeprefix('Value error, ').rstrip('.')}"


def shown_name(param: Any) -> str:
    longest: str = max(param.opts, key=len)
    return longest if longest.startswith("-") else param.metavar or longest.upper()


def given(param: Any) -> str | None:
    """What follows an option on the command line, where that can be told."""
    for word, after in zip(sys.argv, [*sys.argv[1:], ""], strict=True):
        for option in param.opts:
            if word == option:
                return after
            if option.startswith("--") and word.startswith(f"{option}="):
                return word.removeprefix(f"{option}=")
    return None


def params_of(ctx: Any) -> list[Any]:
    return list(ctx.command.params) if ctx else []


def seen_in(error: Any) -> str:
    """Where to read what is allowed in place of arguments that could not be read."""
    return f"(see {error.ctx.command_path} --help)" if error.ctx else ""
