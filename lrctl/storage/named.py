"""Runs as people ask for them: by name, the beginning of a name, `latest`, a glob, or a label."""

from __future__ import annotations

from collections.abc import Iterable
from fnmatch import fnmatchcase

from lrctl.errors import UsageError, unknown
from lrctl.storage.labels import labels
from lrctl.storage.listing import changed
from lrctl.storage.store import Store

LATEST = "latest"
GLOB = "*?["


def one_run(place: Store, text: str, *, finished: bool = False) -> str:
    """The name of the one run that is asked for.

    Raises:
        UsageError: there is none, or there are several.
    """
    first, *others = runs_named(place, text, finished=finished)
    if others:
        raise UsageError(
            f"{place.shown}: {text}: {1 + len(others)} runs are called that, and one is needed: "
            f"{', '.join([first, *others])}"
        )
    return first


def all_runs(place: Store, texts: Iterable[str], *, finished: bool = False, links: bool = False) -> list[str]:
    """The names of all runs that are asked for, each once."""
    return list(dict.fromkeys(run for text in texts for run in runs_named(place, text, finished=finished, links=links)))


def runs_named(place: Store, text: str, *, finished: bool = False, links: bool = False) -> list[str]:
    """The names of the runs that one word asks for.

    Args:
        place: where they are.
        text: a name; else `latest`; else a glob; else a label; else the beginning of one name.
        finished: whether `latest`, a glob and a label ask for finished runs only.
        links: whether links that lie among the runs count too, by name or glob.

    Raises:
        UsageError: there is none, or the beginning is that of several.
    """
    known = [*place.runs.names(), *(place.runs.links() if links else [])]
    if text in known:
        return [text]
    own = [run for run in place.runs.names() if not finished or place.runs.result(run)]
    if text == LATEST and own:
        return newest_first(place, own)[:1]
    if set(GLOB) & set(text):
        found = [run for run in (own if finished else known) if fnmatchcase(run, text)]
    elif not (found := [run for run in own if text in labels(place, run)]):
        found = [run for run in known if text and run.startswith(text)]
        if len(found) > 1:
            raise UsageError(
                f"{place.shown}: {text}: the names of {len(found)} runs begin with that: {', '.join(found)}; give more "
                f"of one, or '{text}*' where several can be given"
            )
    if not found and text == LATEST and (unfinished := newest_first(place, place.runs.names())):
        raise UsageError(
            f"{place.shown}: {text}: no run is finished; give the command of one again, which continues it: "
            f"{', '.join(unfinished)}"
        )
    if not found:
        raise unknown("run", text, own or known, f"{place.shown}: {text}")
    return found


def newest_first(place: Store, runs: Iterable[str]) -> list[str]:
    """Runs by when they were last written: their results, or their identities where they have none."""

    def when(run: str) -> tuple[str, str]:
        return changed(place, run, "result.json", "identity.json"), run

    return sorted(runs, key=when, reverse=True)
