"""A store at a URL: the same results as in a folder, whatever is killed, and one sentence where it cannot be."""

from __future__ import annotations

import builtins
import json
import os
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path, PurePosixPath
from typing import Any

import pytest
import torch

import lrctl as package
import searches
from benchmarks.reliability.faults import CHANGES, watched_storage
from command_line import Lrctl
from lrctl.contracts.result import JobRecord
from lrctl.errors import MissingError, StoreError, UsageError
from lrctl.export.found_with import param_groups_of
from lrctl.storage import checkpoint, copies, listing, remote
from lrctl.storage.location import location
from lrctl.storage.places import objects_at
from lrctl.storage.runs import finished, there
from lrctl.storage.store import Store
from searches import small
from storages import BUCKET, fresh, raw

KEY = "a" * 64


@pytest.fixture
def memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("LRCTL_CACHE", str(tmp_path / "cache"))
    return str(fresh("memory", tmp_path))


@pytest.fixture(scope="module")
def expected(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What the small search finds in a folder."""
    return searches.settled(searches.search(tmp_path_factory.mktemp("folder") / "store"))


# The same results


@pytest.mark.parametrize("kind", ["memory", "s3"])
def test_a_search_finds_the_same_bits_as_in_a_folder(
    kind: str, request: pytest.FixtureRequest, expected: dict[str, Any]
) -> None:
    url = request.getfixturevalue(kind)
    first = searches.search(url)
    assert searches.settled(first) == expected
    assert searches.search(url) == first
    assert first["files"]["schedule"] == f"{url}/runs/{first['run']}/schedule.json"
    assert package.load_schedule(first["files"]["schedule"])(8) == 0.3
    weights = package.load_weights(first["files"]["checkpoint"])
    assert all(isinstance(each, torch.Tensor) for each in weights.values())


class Killed(BaseException):
    """The process is gone: nothing that it still tries reaches the storage."""


def killed_at(at: int) -> Callable[[str, PurePosixPath | None], None]:
    """A process that is killed before its change number `at`, counted from 0."""
    count = 0

    def before(_: str, changed: PurePosixPath | None) -> None:
        nonlocal count
        if count > at or (changed is not None and count == at):
            count = at + 1
            raise Killed
        count += changed is not None

    return before


def whole(url: str) -> None:
    """All that lies in the store is what was put there whole."""
    store = Store(url)
    for path in raw(url).rglob("*"):
        if path.suffix == ".json" and path.name != "store.json":
            assert store.read_signed(path.key), path.key
    for entry in store.objects.entries("jobs"):
        assert store.record(entry.name.removesuffix(".json"))


def tiny(place: Path | str) -> dict[str, Any]:
    """What a search of one choice finds, and what it paid."""
    return searches.settled(searches.search(place, small(training__steps=8, strategy__semilocal__segments=1)))


def kill_at_each(step: int, url: str, folder: Path) -> None:
    """Kill a search before each change, or each few; the same search afterwards finds the same, at the same cost."""
    made: list[str] = []
    with watched_storage(lambda method, changed: made.append(method) if changed else None):
        expected = tiny(f"{url}/sound")
    assert expected == tiny(folder / "folder")
    assert {*made} <= {*CHANGES}
    for at in range(0, len(made), int(os.environ.get("LRCTL_KILL_STEP", step))):
        place = f"{url}/{at}"
        with pytest.raises(Killed), watched_storage(killed_at(at)):
            tiny(place)
        whole(place)
        assert tiny(place) == expected, f"killed before change {at} of {len(made)}"


def test_a_search_that_is_killed_between_two_puts_leaves_whole_facts(memory: str, tmp_path: Path) -> None:
    kill_at_each(4, memory, tmp_path)


@pytest.mark.s3
def test_a_search_on_s3_that_is_killed_between_two_puts_leaves_whole_facts(s3: str, tmp_path: Path) -> None:
    kill_at_each(4, s3, tmp_path)


def test_a_run_whose_removal_is_killed_is_finished_or_not_but_never_damaged(memory: str) -> None:
    first = searches.search(memory, name="r")
    for at in range(6):
        store = Store(memory)
        with suppress(Killed), watched_storage(killed_at(at)):
            store.runs.take_away("r")
        rows = [(row["run"], row["status"], row["defects"]) for row in listing.runs(store)]
        assert rows == [("r", "finished" if at == 0 else "unfinished", [])] * bool(rows)
        assert bool(rows) is (at < 5)
        assert searches.found(searches.search(memory, name="r")) == searches.found(first)


@pytest.mark.parametrize("at", range(5))
def test_a_run_that_ends_while_it_is_deleted_is_made_whole_by_its_command(at: int, memory: str) -> None:
    first, runs, deleted = searches.search(memory, name="r"), Store(memory).runs, 0
    result, identity, recipe = runs.result("r"), runs.identity("r"), runs.recipe("r")
    assert result
    assert identity
    assert recipe

    def ended_before(method: str, _: PurePosixPath | None) -> None:
        nonlocal deleted
        deleted += method == "rm_file"
        if method == "rm_file" and deleted == at + 1:
            runs.begin("r", identity, recipe, {})
            runs.finish(result)

    with watched_storage(ended_before):
        runs.restart("r")
    assert deleted > at
    assert searches.found(searches.search(memory, name="r")) == searches.found(first)
    assert [(row["status"], row["defects"]) for row in listing.runs(Store(memory))] == [("finished", [])]


# Copies on this machine


def test_a_copy_that_went_bad_is_fetched_once_more(memory: str) -> None:
    store = Store(memory)
    key = str(searches.search(memory)["checkpoint"])
    expected = checkpoint.digest_of_state(store.load_checkpoint(key))
    for copy in [*copies.folder().iterdir()]:
        copy.unlink()  # it is mapped into memory
        copy.write_bytes(b"half")
    assert checkpoint.digest_of_state(store.load_checkpoint(key)) == expected
    assert store.has_checkpoint(key)


def test_an_export_reads_no_copy_that_went_bad(memory: str) -> None:
    found = searches.search(memory, name="r")
    expected = param_groups_of(finished(memory, "r"))
    path = Store(memory).checkpoint(found["checkpoint"])
    path.unlink()  # it is mapped into memory
    path.write_bytes(b"half")
    assert param_groups_of(finished(memory, "r")) == expected


def test_a_checkpoint_that_went_bad_itself_is_deleted(memory: str) -> None:
    store = Store(memory)
    key = str(searches.search(memory)["checkpoint"])
    path = raw(store) / "checkpoints" / f"{key}.safetensors"
    content, damaged = path.read_bytes(), f"checkpoint {memory}/{path.key} is damaged: its digest does not match"
    path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    for copy in copies.folder().iterdir():
        copy.unlink()
    with pytest.raises(package.errors.CheckpointError, match=damaged):
        store.load_checkpoint(key)
    assert not path.exists()


def test_the_copies_used_longest_ago_go_first(memory: str, monkeypatch: pytest.MonkeyPatch) -> None:
    store = Store(memory)
    monkeypatch.setattr(copies, "LARGEST", 35)
    for name in "abc":
        store.objects.put_file(name, lambda path, name=name: str(path.write_bytes(b"x" * 10)) and name)  # type: ignore[misc]
        os.utime(copies.folder() / name, (1e9 + ord(name), 1e9 + ord(name)))
    assert copies.found("a")
    store.objects.put_file("d", lambda path: str(path.write_bytes(b"x" * 10)) and "d")
    assert sorted(path.name for path in copies.folder().iterdir()) == ["a", "c", "d"]


def test_a_cache_that_cannot_be_written_is_one_sentence(
    memory: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("LRCTL_CACHE", str(tmp_path / "file"))
    with pytest.raises(StoreError, match=r"cannot write .*file.*; set LRCTL_CACHE to a folder that can"):
        searches.search(memory)


# Commands


def test_every_command_works_on_a_store_at_a_url(lrctl: Lrctl, memory: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LRCTL_STORE", memory)
    options = ("--recipe", "smoke", "--steps", "24", "--quiet")
    found = lrctl("semilocal", *options, "--json").document
    assert [row["run"] for row in lrctl("runs", "--json").document["runs"]] == [found["run"]]
    assert lrctl("runs", "show", "latest", "--json").document == found
    assert lrctl("export", "latest", "--to", "csv").out.startswith("step,")
    assert lrctl("compare", "latest").code == 0
    reported = lrctl("report", "latest")
    assert f"wrote lrctl-files/runs/{found['run']}/report/report.html" in reported.err
    assert Path("lrctl-files", "runs", found["run"], "report", "report.html").is_file()
    assert lrctl("export", found["files"]["schedule"], "--to", "csv").code == 0
    assert lrctl("semilocal", *options, "--dry-run", "--json").document["jobs_known"] > 0
    assert lrctl("runs", "remove", found["run"], "--yes").code == 0
    assert lrctl("gc", "--json").document["files"] > 0


def test_the_command_that_a_run_tells_goes_on_with_it(lrctl: Lrctl, memory: str) -> None:
    found = lrctl(
        "semilocal", "--recipe", "smoke", "--max-steps", "10", "--quiet", "--json", "--store", memory
    ).document
    assert found["status"] == "partial"
    told = lrctl("runs", "show", found["run"], "--store", memory).out.splitlines()[0].partition(": lrctl ")[2]
    assert memory in told
    assert lrctl(*told.split(), "--quiet").code == 0
    assert lrctl("runs", "show", found["run"], "--store", memory, "--json").document["status"] == "done"


def test_the_store_may_be_as_large_as_the_budget_says(lrctl: Lrctl, memory: str) -> None:
    done = lrctl("semilocal", "--recipe", "smoke", "--quiet", "--store", memory, "--max-disk", "1kB", "--json")
    assert (done.code, done.document["status"]) == (4, "partial")
    assert "--max-disk 1.0 kB is reached: the store has" in done.document["reached"]


def test_what_a_program_prints_is_kept(memory: str) -> None:
    store = Store(memory)
    with suppress(ZeroDivisionError), store.logged(KEY) as log:
        log.write_text("its last words")
        raise ZeroDivisionError
    assert store.objects.read(f"logs/{KEY}.log") == b"its last words"
    assert store.log(KEY) == f"{memory}/logs/{KEY}.log"
    assert [path.name for path in copies.folder().iterdir()] == []


# Sentences


def test_workers_do_not_see_the_memory_of_this_process(lrctl: Lrctl, memory: str) -> None:
    command = ("semilocal", "--recipe", "smoke", "--store", memory, "--quiet")
    done = lrctl(*command, "--executor", "processes", "--workers", "2")
    assert (done.code, done.out) == (2, "")
    assert done.error == (
        f"error: --store {memory}: it is in the memory of this process, where the workers of executor processes do not "
        "see it; give --executor serial, or another --store"
    )
    assert lrctl(*command).code == 0


LOCATIONS = {
    "s3://bucket/some/place/": "s3://bucket/some/place",
    "S3://bucket": "s3://bucket",
    "gs://bucket/x": "gs://bucket/x",
    "memory:": "memory://",
    "memory:x": "memory://x",
    "sftp://me@host/x": "sftp://me@host/x",
    "file:///data/x y": Path("/data/x y"),
    "file:///tmp/x%20y": Path("/tmp/x y"),
    "file:x": Path("x").absolute(),
    "file://localhost/tmp": Path("/tmp"),
    "x": Path("x").absolute(),
    "a:b": Path("a:b").absolute(),
}


@pytest.mark.parametrize(("given", "found"), LOCATIONS.items())
def test_a_place_is_a_folder_or_a_url(given: str, found: Path | str) -> None:
    assert location(given) == found


SECRET = "wJalrXUtnFEMI"
BAD: dict[str, tuple[str, type[Exception], str]] = {
    "a password": (f"s3://key:{SECRET}@bucket/x", UsageError, "a URL with a password, a query or a fragment"),
    "a token": (f"abfs://bucket/x?sig={SECRET}", UsageError, "a URL with a password, a query or a fragment"),
    "no bucket": ("s3://", UsageError, r"^--store s3: this URL names no place; give PROTOCOL://BUCKET/PATH$"),
    "a chain": ("simplecache::s3://bucket/x", UsageError, "goes through several storages"),
    "no such protocol": ("s4://bucket/x", UsageError, "s4.*give a folder, or a URL such as s3://BUCKET/PATH"),
}


@pytest.mark.parametrize(("url", "kind", "message"), BAD.values(), ids=BAD)
def test_a_url_that_cannot_be_used_is_one_sentence(url: str, kind: type[Exception], message: str) -> None:
    with pytest.raises(kind, match=message) as error:
        Store(url)
    assert SECRET not in str(error.value)


@pytest.mark.parametrize(("url", "extra"), [("s3://b/x", "lrctl[s3]"), ("gs://b/x", "lrctl[gcs]")])
def test_a_missing_package_is_named_by_its_extra(url: str, extra: str, monkeypatch: pytest.MonkeyPatch) -> None:
    found = builtins.__import__

    def missing(name: str, *others: Any) -> Any:
        if name.partition(".")[0] in ("s3fs", "gcsfs"):
            raise ImportError(f"no module named {name}")
        return found(name, *others)

    for name in [each for each in sys.modules if each.partition(".")[0] in ("s3fs", "gcsfs")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setattr(builtins, "__import__", missing)
    for name in ("s3", "gs"):
        monkeypatch.delitem(sys.modules["fsspec.registry"]._registry, name, raising=False)
    remote.opened.cache_clear()
    with pytest.raises(MissingError, match=r"is not installed .*pip install") as error:
        Store(url)
    assert extra in str(error.value)


@pytest.mark.parametrize("begin", [Store, there], ids=["to search", "to look"])
def test_a_bucket_that_there_is_not_is_one_sentence(begin: Callable[[str], Any], s3: str) -> None:
    del s3
    with pytest.raises(StoreError, match=r"cannot read s3://nowhere/x/store.json: The specified bucket does not"):
        begin("s3://nowhere/x")


def test_what_a_storage_refuses_is_one_sentence_and_never_nothing(memory: str, monkeypatch: pytest.MonkeyPatch) -> None:
    store = Store(memory)
    store.put_record(JobRecord(KEY, "ok"))

    def refused(*_: Any, **__: Any) -> None:
        raise PermissionError(13, "Access Denied")

    for method in ("cat_file", "ls", "info", "pipe_file", "rm_file", "find"):
        monkeypatch.setattr(store.objects._system, method, refused)  # type: ignore[attr-defined]
    asked: list[Callable[[], Any]] = [
        lambda: store.record(KEY),
        store.runs.names,
        store.used_bytes,
        lambda: store.runs.is_handed_over(KEY),
        lambda: store.has_checkpoint(KEY),
        lambda: store.forget_stopped(KEY),
        lambda: store.put_record(JobRecord(KEY, "ok")),
    ]
    for ask in asked:
        with pytest.raises(StoreError, match=r"cannot (read|write|list|delete) memory://.*: Access Denied; check the"):
            ask()


def test_credentials_are_neither_told_nor_kept(s3: str, capsys: pytest.CaptureFixture[str]) -> None:
    secret = os.environ["AWS_SECRET_ACCESS_KEY"]
    document = searches.search(s3, small(strategy__semilocal__segments=1))
    kept = b"".join(path.read_bytes() for path in raw(s3).rglob("*"))
    assert secret.encode() not in kept
    assert secret not in json.dumps(document)
    assert secret not in "".join(capsys.readouterr())
    with pytest.raises(StoreError) as error:
        objects_at("s3://nowhere").put("x", b"")
    assert secret not in str(error.value)
    assert BUCKET in s3


def test_fsspec_is_imported_only_where_a_url_is_given(tmp_path: Path) -> None:
    code = (
        "import sys; from lrctl.storage.store import Store; Store(sys.argv[1]); assert 'fsspec' not in sys.modules; "
        "Store('memory:'); assert 'fsspec' in sys.modules and 's3fs' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code, tmp_path], check=True)
