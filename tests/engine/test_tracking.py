"""A tracker is told what happens, and whatever it does changes, stops and delays nothing."""

from __future__ import annotations

import sys
from collections.abc import Callable
from itertools import product
from pathlib import Path
from typing import Any

import pytest

from command_line import Lrctl
from lrctl import api
from lrctl.engine import tracking
from lrctl.errors import UsageError
from lrctl.recipe import parse as recipes
from searches import settled

Install = Callable[..., None]

SMOKE = ["local", "--recipe", "smoke", "--executor", "serial", "--grid", "0.1", "--grid-size", "1"]
SMOKE += ["--segments", "2", "--no-reference"]
QUIET = ["--json", "--quiet"]

TRACKER = """
import sys, threading, time, warnings
from dataclasses import dataclass
from lrctl import hookimpl

told = []

@dataclass(frozen=True)
class Params:
    word: str = "plain"

class Tracker:
    def __init__(self, params): told.append(("built", params.word)); BUILD
    def search_started(self, search): told.append(search); STARTED
    def job_finished(self, job): told.append(job); JOB
    def choice_made(self, choice): told.append(choice); CHOICE
    def search_finished(self, result): told.append(result); FINISHED
    def close(self): told.append(threading.current_thread().name); CLOSE

@hookimpl
def register_trackers(register): register(Tracker, name="NAME", params=Params, help="for tests")
"""


def tracker(name: str, **codes: str) -> str:
    """The source of a plugin with a tracker that does something beside taking down what it is told."""
    text = TRACKER.replace("NAME", name)
    for place in ("BUILD", "STARTED", "JOB", "CHOICE", "FINISHED", "CLOSE"):
        text = text.replace(place, codes.get(place.lower(), "pass"))
    return text


def told(name: str) -> list[Any]:
    found: list[Any] = sys.modules[name].told
    return found


def kinds(name: str) -> list[str]:
    return [type(each).__name__ for each in told(name)]


SOUND: list[dict[str, Any]] = []


def search(**options: Any) -> dict[str, Any]:
    """A search from Python."""
    own = {"segments": 1, "grid": [0.1], "reference": False}
    settings = {"executor.name": "serial", **{f"strategy.local.{name}": value for name, value in own.items()}}
    return api.search("local", "smoke", settings=settings, **options)


@pytest.fixture
def sound(lrctl: Lrctl) -> dict[str, Any]:
    """What the search comes to that nobody records; trained once for all tests."""
    if not SOUND:
        SOUND.append(settled(lrctl(*SMOKE, *QUIET, "--store", "sound").document))
    return SOUND[0]


def test_a_tracker_is_told_of_a_whole_search(lrctl: Lrctl, installed: Install, sound: dict[str, Any]) -> None:
    installed(ledger=tracker("ledger"))
    done = lrctl(*SMOKE, *QUIET, "--track", "ledger", "--set", "track.ledger.word=mine")
    assert (done.code, done.err) == (0, "")
    assert settled(done.document) == sound
    built, search, *happened, result, closed = told("ledger")
    assert (built, closed) == (("built", "mine"), "tracker ledger")
    assert (search.run, search.command) == (done.document["run"], "local")
    assert search.config["training"]["steps"] == 40
    assert (search.store, search.folder) == (Path(".lrctl").absolute(), Path(".lrctl/tracked/ledger").absolute())
    jobs = [each for each in happened if hasattr(each, "losses")]
    choices = [each for each in happened if hasattr(each, "chosen")]
    assert [(job.start, job.stop, job.reused) for job in jobs] == [(0, 20, False), (20, 40, False), (20, 40, False)]
    assert all(len(job.losses) == len(job.lrs) == 20 and job.lrs[-1] > 0 for job in jobs if job.status == "ok")
    assert [choice.chosen for choice in choices] == [each["chosen"] for each in sound["segments"]]
    assert [each.mean_loss for each in jobs[:1]] == [sound["segments"][0]["candidates"][0]["mean_loss"]]
    assert {name: value for name, value in result.document.items() if name != "cost"} == {
        name: value for name, value in sound.items() if name != "cost"
    }
    assert len(result.losses) == len(result.lrs) == 40
    assert all(path.is_file() for path in result.files.values())
    assert [*result.files] == ["result", "schedule"]


def test_a_job_that_was_stopped_has_no_curve(lrctl: Lrctl, installed: Install) -> None:
    installed(ledger=tracker("ledger"))
    done = lrctl(
        "local", "--recipe", "smoke", "--executor", "serial", "--grid", "0.1,1e-9", *QUIET, "--track", "ledger"
    )
    assert done.code == 0
    stopped = [each for each in told("ledger") if getattr(each, "status", "") == "stopped"]
    assert stopped
    assert all((job.losses, job.lrs) == ((), ()) for job in stopped)


HANG = "threading.Event().wait()"

FAULTS = {
    "raises": ("raise ValueError('no room')", "ValueError: no room"),
    "exits": ("sys.exit(3)", "SystemExit: 3"),
    "interrupts": ("raise KeyboardInterrupt", "KeyboardInterrupt: "),
    "is no exception": ("raise BaseException('base')", "BaseException: base"),
    "hangs": (HANG, "it did not come to its end in time"),
}


PLACES = ("started", "job", "choice", "finished", "close")
EVERYWHERE = ("raises", "hangs")


@pytest.mark.parametrize(
    ("fault", "place"),
    [*product(EVERYWHERE, PLACES), *((fault, "job") for fault in FAULTS if fault not in EVERYWHERE)],
)
def test_a_tracker_that_fails_or_hangs_is_dropped(
    fault: str, place: str, lrctl: Lrctl, installed: Install, sound: dict[str, Any]
) -> None:
    code, message = FAULTS[fault]
    installed(faulty=tracker("faulty", **{place: code}), ledger=tracker("ledger"))
    wait = "0.3" if code == HANG else "60"
    done = lrctl(*SMOKE, *QUIET, "--track", "faulty", "--track", "ledger", "--set", f"track.wait={wait}")
    assert done.code == 0
    assert settled(done.document) == sound
    (line,) = done.err.splitlines()
    assert line.startswith("warning: tracker faulty is dropped, and the search goes on without it: ")
    assert message in line
    if code != HANG:  # it may have used up the time of both
        assert kinds("ledger")[-2:] == ["TrackedResult", "str"]


@pytest.mark.parametrize("code", ["raise ValueError('no room')", "sys.exit(3)"])
def test_a_tracker_that_cannot_be_built_is_dropped(code: str, lrctl: Lrctl, installed: Install) -> None:
    installed(faulty=tracker("faulty", build=code))
    done = lrctl(*SMOKE, *QUIET, "--track", "faulty")
    assert done.code == 0
    assert done.err.startswith("warning: tracker faulty is dropped, and the search goes on without it: ")


def test_a_search_does_not_begin_without_what_a_tracker_needs(lrctl: Lrctl, installed: Install) -> None:
    code = "from lrctl.errors import MissingError; raise MissingError('--track needy: install it')"
    installed(needy=tracker("needy", build=code))
    done = lrctl(*SMOKE, *QUIET, "--track", "needy")
    assert (done.code, done.error) == (2, "error: --track needy: install it")
    assert not list(Path(".lrctl/jobs").iterdir())


SPOIL = """
def spoil(value, depth=4):
    if isinstance(value, dict):
        for item in [*value.values()]: spoil(item, depth)
        value.clear()
    elif isinstance(value, tuple | list):
        for item in value: spoil(item, depth)
    elif type(value).__module__.startswith("lrctl") and depth:
        for name in getattr(value, "__dataclass_fields__", ()):
            spoil(getattr(value, name), depth - 1)
            object.__setattr__(value, name, None)
"""


def test_a_tracker_that_empties_what_it_is_given_changes_nothing(
    lrctl: Lrctl, installed: Install, sound: dict[str, Any]
) -> None:
    places = {"started": "search", "job": "job", "choice": "choice", "finished": "result"}
    codes = {place: f"spoil({value})" for place, value in places.items()}
    installed(first=tracker("first", **codes) + SPOIL, second=tracker("second"))
    done = lrctl(*SMOKE, *QUIET, "--track", "first", "--track", "second")
    assert (done.code, done.err) == (0, "")
    assert settled(done.document) == sound
    assert told("second")[1].config["training"]["steps"] == 40
    assert told("second")[-2].document["segments"] == sound["segments"]
    assert told("first")[-2].document is None


def test_a_tracker_that_does_not_keep_up_is_dropped(
    lrctl: Lrctl, installed: Install, sound: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tracking, "LONGEST", 2)
    installed(slow=tracker("slow", started=HANG))
    done = lrctl(*SMOKE, *QUIET, "--track", "slow", "--set", "track.wait=0.1")
    assert settled(done.document) == sound
    (line,) = done.err.splitlines()
    assert line.endswith("it does not keep up: 2 calls wait for it")


def test_what_a_tracker_warns_of_is_no_noise_and_no_error(lrctl: Lrctl, installed: Install) -> None:
    installed(old=tracker("old", started="warnings.warn('old', DeprecationWarning)", job="warnings.warn('odd')"))
    search(track="old")  # where warnings are errors, as in all tests
    assert kinds("old")[-2:] == ["TrackedResult", "str"]
    done = lrctl(*SMOKE, *QUIET, "--track", "old")
    assert (done.code, done.err) == (0, "")


def test_warnings_of_the_search_itself_are_shown(lrctl: Lrctl, installed: Install) -> None:
    shout = "from lrctl import hookimpl\nimport warnings\n@hookimpl\ndef batch_started(): warnings.warn('heard')"
    installed(ledger=tracker("ledger"), shout=shout)
    assert "warning: heard" in lrctl(*SMOKE, *QUIET, "--track", "ledger").err


def test_a_search_that_goes_on_tells_all_again(lrctl: Lrctl, installed: Install) -> None:
    stop = "from lrctl import hookimpl\n@hookimpl\ndef batch_started(batch):\n"
    installed(ledger=tracker("ledger"), stop=stop + "    if '2 of' in batch.title: raise KeyboardInterrupt")
    assert lrctl(*SMOKE, *QUIET, "--track", "ledger").code == 130
    assert kinds("ledger") == ["tuple", "TrackedSearch", "TrackedJob", "str"]
    told("ledger").clear()
    sys.modules["stop"].__dict__.pop("batch_started")
    installed()
    done = lrctl(*SMOKE, *QUIET, "--track", "ledger")
    assert done.code == 0
    assert [each.reused for each in told("ledger") if hasattr(each, "reused")] == [True, False, False]
    assert kinds("ledger").count("TrackedResult") == 1


def test_a_search_whose_budget_is_reached_is_told_as_that(lrctl: Lrctl, installed: Install) -> None:
    installed(ledger=tracker("ledger"))
    assert lrctl(*SMOKE, *QUIET, "--track", "ledger", "--max-steps", "20").code == 4
    result = told("ledger")[-2]
    assert result.document["status"] == "partial"
    assert {what: path.name for what, path in result.files.items()} == {
        "result": "partial.json",
        "schedule": "schedule.json",
    }
    assert all(path.is_file() for path in result.files.values())


def test_no_tracker_is_led_out_of_the_store_by_a_link(lrctl: Lrctl, installed: Install, tmp_path: Path) -> None:
    installed(ledger=tracker("ledger"))
    lrctl(*SMOKE, *QUIET)
    Path(".lrctl/tracked").symlink_to(tmp_path)
    done = lrctl(*SMOKE, *QUIET, "--fresh", "--track", "ledger")
    assert done.code == 1
    assert "tracked in it is a link, and no link is followed out of a store" in done.error


def test_a_tracker_is_part_of_no_identity(lrctl: Lrctl, installed: Install, sound: dict[str, Any]) -> None:
    assert settled(lrctl(*SMOKE, *QUIET).document) == sound
    installed(ledger=tracker("ledger"))
    assert settled(lrctl(*SMOKE, *QUIET, "--track", "ledger").document) == sound
    assert "ledger" not in sys.modules or told("ledger") == []  # it was finished before, so there is nothing to tell
    assert "track" not in recipes.read("smoke", {"track.names": ["ledger"]}).to_toml("local")


def test_a_search_that_trains_nothing_is_told_too(lrctl: Lrctl, installed: Install) -> None:
    installed(ledger=tracker("ledger"))
    found = lrctl(*SMOKE, *QUIET).document["run"]
    done = lrctl("fit-closed-form", found, "--track", "ledger", *QUIET)
    assert done.code == 0
    assert kinds("ledger") == ["tuple", "TrackedSearch", "TrackedResult", "str"]
    assert told("ledger")[-2].losses == ()


@pytest.mark.usefixtures("lrctl")
def test_python_names_trackers_too(installed: Install) -> None:
    installed(ledger=tracker("ledger"))
    search(track="ledger")
    assert kinds("ledger")[-2:] == ["TrackedResult", "str"]


# The recipe


BAD = {
    "a tracker": ("names = ['leger']", "r.toml: track.names: unknown tracker 'leger'; did you mean 'ledger'?"),
    "a table": ("[track.leger]", "r.toml: track.leger: unknown tracker; did you mean 'ledger'?"),
    "a key": ("nmes = ['ledger']", "r.toml: track.nmes: unknown key; did you mean 'names'?"),
    "a parameter": ("[track.ledger]\nwurd = 'x'", "r.toml: track.ledger.wurd: unknown key; did you mean 'word'?"),
    "a value": ("names = 'ledger'", "r.toml: track.names: must be a list of strings, got 'ledger'"),
    "a wait": ("wait = -1", "r.toml: track.wait: must be at least 0, got -1.0"),
}


@pytest.mark.usefixtures("lrctl")
@pytest.mark.parametrize(("text", "message"), BAD.values(), ids=BAD)
def test_what_a_recipe_says_of_trackers_is_checked(text: str, message: str, installed: Install) -> None:
    installed(ledger=tracker("ledger"))
    Path("r.toml").write_text(f"extends = 'smoke'\n[track]\n{text}\n")
    with pytest.raises(UsageError) as raised:
        recipes.read("r.toml")
    assert str(raised.value) == message


@pytest.mark.usefixtures("lrctl")
def test_a_recipe_lays_its_trackers_over_those_that_it_extends(installed: Install) -> None:
    installed(ledger=tracker("ledger"), other=tracker("other"))
    Path("base.toml").write_text("extends = 'smoke'\n[track]\nnames = ['ledger']\n[track.ledger]\nword = 'base'\n")
    Path("r.toml").write_text("extends = 'base.toml'\n[track]\nwait = 5\n[track.other]\nword = 'mine'\n")
    found = recipes.read("r.toml")
    assert (found.track.names, found.track.wait) == (("ledger",), 5.0)
    assert [(each.name, each.params.word) for each in found.trackers] == [("ledger", "base")]
    both = recipes.read("r.toml", {"track.names": ["other", "ledger", "other"]}).trackers
    assert [(each.name, each.params.word) for each in both] == [("other", "mine"), ("ledger", "base")]
    assert recipes.read("r.toml", {"track.names": []}).trackers == ()
