from __future__ import annotations

import pytest

from lrctl import errors


@pytest.mark.parametrize(
    ("kind", "code"),
    [
        (errors.LrctlError, 1),
        (errors.UsageError, 2),
        (errors.NoValidCandidateError, 3),
        (errors.StoreError, 1),
        (errors.CheckpointError, 1),
        (errors.ReproducibilityError, 1),
        (errors.JobFailedError, 1),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_every_error_a_user_can_meet_has_its_exit_code(kind: type[errors.LrctlError], code: int) -> None:
    assert issubclass(kind, errors.LrctlError)
    assert kind("what happened").exit_code == code


def test_a_failed_job_keeps_its_traceback_apart_from_its_sentence() -> None:
    error = errors.JobFailedError("it failed", "Traceback ...")
    assert (str(error), error.details) == ("it failed", "Traceback ...")


@pytest.mark.parametrize(
    ("found", "where", "message"),
    [
        (
            "batchsize",
            "r.toml: training.batchsize",
            "r.toml: training.batchsize: unknown key; did you mean 'batch_size'?",
        ),
        ("batchsize", "", "unknown key 'batchsize'; did you mean 'batch_size'?"),
        ("zzz", "", "unknown key 'zzz'; choose from: batch_size, steps"),
        ("STEPS", "", "unknown key 'STEPS'; did you mean 'steps'?"),
        ("", "x", "x: unknown key; choose from: batch_size, steps"),
    ],
    ids=["near", "no place", "far", "capitals", "empty"],
)
def test_an_unknown_name_is_told_with_the_nearest_one(found: str, where: str, message: str) -> None:
    error = errors.unknown("key", found, ["steps", "batch_size"], where)
    assert isinstance(error, errors.UsageError)
    assert str(error) == message


def test_where_nothing_is_allowed_the_error_says_so() -> None:
    assert str(errors.unknown("key", "a", [])) == "unknown key 'a'; there is none"
