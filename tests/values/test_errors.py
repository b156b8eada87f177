"""Errors: the tree as drawn, the attributes of each class, pickling."""

import inspect
import pickle
import re
from typing import Any

import pytest

from nrm_async import errors
from nrm_async.errors import (
    APIError,
    AuthenticationError,
    BatchError,
    ClientStateError,
    ConfigurationError,
    FileFormatError,
    InvalidRequestError,
    NRMError,
    OutcomeUnknownError,
    RateLimitError,
    RejectedError,
    ServerError,
)

CLASSES: dict[str, type[NRMError]] = {name: getattr(errors, name) for name in errors.__all__}
each_class = pytest.mark.parametrize("kind", CLASSES.values(), ids=CLASSES.keys())
API_CLASSES = [APIError, AuthenticationError, RejectedError, ServerError, RateLimitError]


def made(kind: type[NRMError]) -> NRMError:
    """Make an error of this class with a value in every attribute."""
    arguments: tuple[Any, ...] = ("what was seen",)
    if issubclass(kind, RateLimitError):
        arguments = (429, "slow down", "r-1", "body", 2.5)
    elif issubclass(kind, APIError):
        arguments = (422, "no", "r-1", "body")
    elif kind is OutcomeUnknownError:
        arguments = ("cut off", 200, "r-1")
    elif kind is BatchError:
        arguments = ("two failed", ["one", "two"])
    return kind(*arguments).at("POST", "/pause", 3, 1.25)


def drawn() -> dict[str, str | None]:
    """Parse the drawing in the docstring: each class and its parent."""
    parents: dict[str, str | None] = {}
    above: list[str] = []
    for line in inspect.getdoc(errors).splitlines():  # type: ignore[union-attr]  # it has one
        found = re.match(r"^    ((?:│   |    )*(?:[├└]── )?)(\w+Error)\b", line)
        if found is not None:
            depth = len(found[1]) // 4
            above[depth:] = [found[2]]
            parents[found[2]] = above[depth - 1] if depth else None
    return parents


def test_tree_is_as_drawn() -> None:
    """Every class has the parent that the docstring of the module draws, and none is missing."""
    actual = {
        name: None if kind is NRMError else kind.__bases__[0].__name__
        for name, kind in CLASSES.items()
    }
    assert drawn() == actual


def test_every_error_is_public() -> None:
    """Every error class of the module is in ``__all__``."""
    defined = {
        name for name, kind in inspect.getmembers(errors, inspect.isclass) if kind is not Any
    }
    assert {name for name in defined if name.endswith("Error")} == set(CLASSES)


@each_class
def test_tree_is_shallow(kind: type[NRMError]) -> None:
    """Every class is below the root, by at most three levels."""
    ranks = [base for base in kind.__mro__ if issubclass(base, NRMError)]
    assert ranks[-1] is NRMError
    assert len(ranks) - 1 <= 3


def test_builtin_parents() -> None:
    """Broken rules are ``ValueError``, a wrong state is ``RuntimeError``; others are neither."""
    builtin: dict[type[NRMError], type] = {
        kind: base
        for kind in CLASSES.values()
        for base in kind.__mro__[1:]
        if not issubclass(base, NRMError) and base not in (Exception, BaseException, object)
    }
    assert builtin == {
        ConfigurationError: ValueError,
        InvalidRequestError: ValueError,
        FileFormatError: ValueError,
        ClientStateError: RuntimeError,
    }


@each_class
def test_pickle(kind: type[NRMError]) -> None:
    """An error keeps its attributes and its text through every pickle protocol."""
    error = made(kind)
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        copy = pickle.loads(pickle.dumps(error, protocol))
        assert type(copy) is kind
        assert vars(copy) == vars(error)
        assert (copy.args, str(copy), copy.message) == (error.args, str(error), error.message)
        assert copy.maybe_applied is error.maybe_applied


def test_pickle_keeps_permanent() -> None:
    """``permanent`` survives pickling."""
    error = errors.NotSentError("certificate")
    error.permanent = True
    assert pickle.loads(pickle.dumps(error)).permanent is True


@each_class
def test_str_shows_the_call(kind: type[NRMError]) -> None:
    """After ``at``, an error has and shows the call, the attempts and the seconds."""
    error = made(kind)
    assert str(error).startswith("POST /pause: ")
    assert error.message in str(error)
    assert str(error).endswith(" (3 attempts, 1.25 s)")
    assert (error.method, error.path, error.attempts, error.elapsed) == ("POST", "/pause", 3, 1.25)


def test_str_of_one_attempt() -> None:
    """One attempt is written in the singular."""
    error = errors.TransportError("reset").at("GET", "/anis", 1, 0.5)
    assert str(error) == "GET /anis: reset (1 attempt, 0.50 s)"


def test_at_returns_the_error() -> None:
    """``at`` returns the error, to be raised in the same line."""
    error = errors.ResponseError("no page")
    assert error.at("GET", "/anis", 1, 0.0) is error


def test_error_outside_a_call() -> None:
    """An error outside a call shows its message alone, with no attempts and nothing applied."""
    error = InvalidRequestError("ani must not be empty")
    assert str(error) == error.message == "ani must not be empty"
    assert (error.method, error.path, error.attempts, error.elapsed) == (None, None, 0, 0.0)
    assert error.maybe_applied is False


def test_error_without_a_message() -> None:
    """An error without a message shows its class."""
    assert str(NRMError()) == "NRMError"


@each_class
def test_maybe_applied(kind: type[NRMError]) -> None:
    """Only one class says by itself that an action may have been applied."""
    assert made(kind).maybe_applied is (kind is OutcomeUnknownError)


def test_at_does_not_change_the_class() -> None:
    """``at`` sets attributes of the error, not of its class."""
    made(APIError)
    assert (NRMError.path, APIError.attempts) == (None, 0)


@pytest.mark.parametrize("kind", API_CLASSES)
def test_api_error(kind: type[APIError]) -> None:
    """An error of the API has status, message, request id and body, and shows the first two."""
    error = kind(418, "a teapot", "r-1", "short and stout")
    assert (error.status, error.message, error.request_id) == (418, "a teapot", "r-1")
    assert error.body == "short and stout"
    assert str(error) == "HTTP 418: a teapot"


@pytest.mark.parametrize("kind", API_CLASSES)
def test_body_is_bounded(kind: type[APIError]) -> None:
    """Only 500 characters of a body are kept, in ``args`` too; no body stays ``None``."""
    error = kind(500, "down", None, "x" * 1_000_000)
    assert error.body == "x" * 500
    assert len(repr(error)) < 700
    assert kind(500, "down").body is None


def test_rate_limit_error() -> None:
    """A rate limit error has and shows the seconds to wait, or ``None``."""
    assert RateLimitError(429, "slow", retry_after=2.5).retry_after == 2.5
    assert "2.5" in repr(RateLimitError(429, "slow", retry_after=2.5))
    assert RateLimitError(429, "slow").retry_after is None


def test_outcome_unknown_error() -> None:
    """An unknown outcome keeps the status and request id of the inconclusive response."""
    error = OutcomeUnknownError("html", 200, "r-1")
    assert (error.message, error.status, error.request_id) == ("html", 200, "r-1")
    assert OutcomeUnknownError("reset").status is None


def test_batch_error() -> None:
    """The failed results are on the error, as a tuple."""
    assert BatchError("two failed", ["one", "two"]).failed == ("one", "two")
    assert BatchError("none").failed == ()
