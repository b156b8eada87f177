"""Results of actions claim no more than is known, and a report adds them up."""

import pickle
from typing import Any

import attrs
import pytest

from nrm_async.actions import Pause
from nrm_async.errors import (
    APIError,
    AuthenticationError,
    BatchError,
    ClientStateError,
    ClientTimeoutError,
    ConfigurationError,
    InvalidRequestError,
    NotSentError,
    NRMError,
    OutcomeUnknownError,
    RateLimitError,
    RejectedError,
    ResponseError,
    ServerError,
    TransportError,
)
from nrm_async.models import Ani, Receipt
from nrm_async.results import (
    BatchReport,
    CallResult,
    Failed,
    Outcome,
    Succeeded,
    make_result,
    outcome_of,
)

ACTION = Pause("2345678901")
RECEIPT = Receipt("2345678901", "paused", "r-1")


def repeat_refused() -> RejectedError:
    """A refusal, possibly because an earlier attempt was applied."""
    error = RejectedError(400, "not active")
    error.maybe_applied = True
    return error


OUTCOMES: list[tuple[NRMError, Outcome]] = [
    (RejectedError(400, "no"), Outcome.REJECTED),
    (RejectedError(200, "within cooldown"), Outcome.REJECTED),
    (NotSentError("refused"), Outcome.NOT_APPLIED),
    (RateLimitError(429, "slow"), Outcome.NOT_APPLIED),
    (AuthenticationError(401, "who"), Outcome.NOT_APPLIED),
    (ConfigurationError("moved"), Outcome.NOT_APPLIED),
    (InvalidRequestError("ani must not be empty"), Outcome.NOT_APPLIED),
    (ClientStateError("closed"), Outcome.NOT_APPLIED),
    (OutcomeUnknownError("html", 200), Outcome.UNKNOWN),
    (repeat_refused(), Outcome.UNKNOWN),
    (TransportError("reset"), Outcome.UNKNOWN),
    (ClientTimeoutError("slow"), Outcome.UNKNOWN),
    (ServerError(500, "down"), Outcome.UNKNOWN),
    (APIError(302, "elsewhere"), Outcome.UNKNOWN),
    (ResponseError("no page"), Outcome.UNKNOWN),
    (NRMError("anything"), Outcome.UNKNOWN),
]
each_error = pytest.mark.parametrize(("error", "outcome"), OUTCOMES, ids=repr)


def failed(index: int, error: NRMError, item: object = "2345678901") -> CallResult:
    return make_result(index, item, ACTION, error, 1, 0.1)


def succeeded(index: int, outcome: Outcome = Outcome.APPLIED) -> Succeeded:
    return Succeeded(
        index=index, input="2345678901", action=ACTION, outcome=outcome, receipt=RECEIPT
    )


def bad_input(index: int, item: object) -> Failed:
    error = InvalidRequestError("ani must be digits")
    return Failed(index=index, input=item, action=None, outcome=Outcome.NOT_APPLIED, error=error)


REPORT = BatchReport(
    (
        succeeded(0),
        failed(1, RejectedError(400, "not active")),
        succeeded(2, Outcome.CONFIRMED),
        failed(3, NotSentError("refused")),
        failed(4, OutcomeUnknownError("reset")),
        bad_input(5, "call me"),
        failed(6, RateLimitError(429, "slow")),
    ),
    elapsed=1.5,
)


@each_error
def test_outcome_of(error: NRMError, outcome: Outcome) -> None:
    """NOT_APPLIED needs an error that proves it, REJECTED a refusal by the API."""
    assert outcome_of(error) is outcome


@each_error
def test_make_failed_result(error: NRMError, outcome: Outcome) -> None:
    """A result made from an error has its outcome, and keeps the error itself."""
    result = make_result(3, "input", ACTION, error.at("POST", "/pause", 2, 1.5), 2, 1.5)
    assert isinstance(result, Failed)
    assert (result.index, result.input, result.action) == (3, "input", ACTION)
    assert (result.outcome, result.attempts, result.elapsed) == (outcome, 2, 1.5)
    assert result.error is error
    at = (result.error.method, result.error.path, result.error.attempts, result.error.elapsed)
    assert at == ("POST", "/pause", 2, 1.5)


def test_ok_distinguishes_the_classes() -> None:
    """``ok`` is true for the one class and false for the other, whatever the outcome."""
    assert all(result.ok is isinstance(result, Succeeded) for result in REPORT)


def test_outcomes_are_their_names() -> None:
    """There are five outcomes, and the text of each is its name in lower case."""
    assert [str(outcome) for outcome in Outcome] == [outcome.name.lower() for outcome in Outcome]
    assert len(Outcome) == 5


class Unshowable:
    """An input whose ``str`` raises."""

    def __str__(self) -> str:
        raise RuntimeError("no")


@pytest.mark.parametrize(
    ("item", "shown"),
    [
        ("call me", "call me"),
        (None, "None"),
        (2.5, "2.5"),
        (Ani(1, "unreadable"), "unreadable"),
        (10**5_000, "<int>"),
        (Unshowable(), "<Unshowable>"),
    ],
    ids=["text", "None", "float", "row", "huge", "unshowable"],
)
def test_ani_of_an_invalid_input(item: object, shown: str) -> None:
    """A result with an invalid input shows it as given, and never raises."""
    assert bad_input(0, item).ani == shown


def test_ani_is_normalised() -> None:
    """A result with an action shows the action's number, not the caller's spelling."""
    assert failed(0, NotSentError("refused"), "+1 (234) 567-8901").ani == "2345678901"


def test_counts() -> None:
    """Every outcome is a key, including those that do not occur, and the counts are read-only."""
    assert dict(REPORT.counts) == {
        Outcome.APPLIED: 1,
        Outcome.CONFIRMED: 1,
        Outcome.REJECTED: 1,
        Outcome.NOT_APPLIED: 3,
        Outcome.UNKNOWN: 1,
    }
    assert dict(BatchReport(()).counts) == dict.fromkeys(Outcome, 0)
    with pytest.raises(TypeError):
        REPORT.counts[Outcome.APPLIED] = 9  # type: ignore[index]  # the point of the test


@pytest.mark.parametrize(
    ("outcome", "indexes"),
    [
        (Outcome.APPLIED, [0]),
        (Outcome.CONFIRMED, [2]),
        (Outcome.REJECTED, [1]),
        (Outcome.NOT_APPLIED, [3, 5, 6]),
        (Outcome.UNKNOWN, [4]),
    ],
)
def test_by_outcome(outcome: Outcome, indexes: list[int]) -> None:
    """The results of one outcome come in input order."""
    assert [result.index for result in REPORT.by_outcome(outcome)] == indexes


def test_succeeded_and_failed() -> None:
    """Every result is in exactly one of the two, in input order."""
    assert [result.index for result in REPORT.succeeded] == [0, 2]
    assert [result.index for result in REPORT.failed] == [1, 3, 4, 5, 6]


def test_retryable() -> None:
    """Only results that provably did nothing are retryable, except for invalid inputs."""
    assert [result.index for result in REPORT.retryable] == [3, 6]


def test_ok_of_a_report() -> None:
    """A report is ok when nothing failed, an empty one too."""
    assert not REPORT.ok
    assert BatchReport(REPORT.succeeded).ok
    assert BatchReport(()).ok


def test_raise_if_failed() -> None:
    """The error names the number of failures and the first one, and carries all of them."""
    with pytest.raises(BatchError) as caught:
        REPORT.raise_if_failed()
    assert caught.value.failed == REPORT.failed
    expected = "5 of 7 actions did not succeed; the first: 2345678901: HTTP 400: not active"
    assert str(caught.value) == expected


def test_raise_if_failed_without_failures() -> None:
    """Without failures, nothing is raised."""
    BatchReport(REPORT.succeeded).raise_if_failed()
    BatchReport(()).raise_if_failed()


def test_report_is_a_sequence() -> None:
    """A report counts, iterates, indexes and slices its results."""
    assert len(REPORT) == 7
    assert list(REPORT) == list(REPORT.results)
    assert REPORT[2] is REPORT.results[2]
    assert REPORT[-2:] == REPORT.results[-2:]
    assert REPORT[0] in REPORT


@pytest.mark.parametrize("value", [succeeded(0), bad_input(1, "x"), REPORT], ids=["+", "-", "all"])
def test_frozen(value: Any) -> None:
    """No field of a result or a report can be set."""
    for attribute in attrs.fields(type(value)):
        with pytest.raises(attrs.exceptions.FrozenInstanceError):
            setattr(value, attribute.name, None)


def test_input_is_not_in_the_repr() -> None:
    """An input may be large or private, so the ``repr`` leaves it out."""
    assert "private" not in repr(bad_input(0, "private"))


def test_report_pickles() -> None:
    """A report comes back from a pickle with every result and all evidence."""
    copy = pickle.loads(pickle.dumps(REPORT))
    assert (copy.elapsed, copy.counts, copy.succeeded) == (1.5, REPORT.counts, REPORT.succeeded)
    for before, after in zip(REPORT.failed, copy.failed, strict=True):
        assert attrs.evolve(after, error=before.error) == before
        assert type(after.error) is type(before.error)
        assert (str(after.error), vars(after.error)) == (str(before.error), vars(before.error))


def test_batch_error_pickles() -> None:
    """A BatchError comes back from a pickle with its failed results."""
    with pytest.raises(BatchError) as caught:
        REPORT.raise_if_failed()
    copy = pickle.loads(pickle.dumps(caught.value))
    assert str(copy) == str(caught.value)
    assert [result.index for result in copy.failed] == [1, 3, 4, 5, 6]


def test_outcomes_hash_like_their_text() -> None:
    """Counts can be looked up by the text of an outcome, which has the same hash."""
    assert all(hash(outcome) == hash(str(outcome)) for outcome in Outcome)
    counts: dict[Any, int] = {**REPORT.counts}
    assert [counts[text] for text in ("applied", "unknown")] == [
        REPORT.counts[outcome] for outcome in (Outcome.APPLIED, Outcome.UNKNOWN)
    ]


@pytest.mark.parametrize("confirmed", [False, True])
def test_make_result_equals_the_constructor(confirmed: bool) -> None:
    """It has all fields, equals one made by the constructor, and is frozen."""
    action, receipt = Pause("2345678901"), Receipt("2345678901", "paused", confirmed=confirmed)
    made = make_result(3, "(234) 567-8901", action, receipt, 2, 0.5)
    outcome = Outcome.CONFIRMED if confirmed else Outcome.APPLIED
    assert made == Succeeded(
        index=3,
        input="(234) 567-8901",
        action=action,
        outcome=outcome,
        attempts=2,
        elapsed=0.5,
        receipt=receipt,
    )
    assert type(made) is Succeeded
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        made.attempts = 3  # type: ignore[misc]  # the point of the test
