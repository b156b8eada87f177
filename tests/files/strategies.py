"""Strategies for inventories and reports with every type and hostile text."""

from datetime import UTC, timedelta, timezone
from typing import Any, Final

import attrs
from hypothesis import strategies as st

from nrm_async import (
    Activate,
    Ani,
    BatchReport,
    CallResult,
    Inventory,
    MalformedRow,
    NRMError,
    Outcome,
    Pause,
    Receipt,
    Remediate,
    errors,
)
from nrm_async.results import Failed, Succeeded

HOSTILE: Final = [
    "", " ", "None", "null", "nan", "NULL", "5", "05", "1E5", "2.34568E+09", "-1", "true", "'",
    "''", "'=1", "=1+1", "+1 (234) 567-8901", "-5", "@SUM(A1)", "\t=1", "\r=1", "\n", "\r", "\r\n",
    " =1", "\x00", "\x00=1", "a\x00b", '"', '""', '"a",b', "a,b;c\td|e", "a\rb", "a\nb", "\ufeff",
    "\ufeffa", "\u2028", "\x85", "\x1c", "\x1a", "＝1", "Ünï", "📞", "\U0010ffff", "{}",
    "2026-05-27", "#", "# a", '{"nrm_async": "inventory"}', "\\", "\\N", "0123456789", "1" * 40,
]  # fmt: skip

texts = st.one_of(st.sampled_from(HOSTILE), st.text(st.characters(exclude_categories=["Cs"])))
ids = st.one_of(
    st.integers(),
    st.integers(2**53, 2**70),
    texts,
    st.integers().map(str),
)
numbers = st.one_of(
    st.none(),
    st.integers(0, 100),
    st.integers(0, 100).map(float),
    st.integers(),
    st.integers(2**53, 2**80),
    st.floats(allow_nan=False, allow_infinity=False),
)
zones = st.one_of(
    st.just(UTC),
    st.integers(-1439, 1439).map(lambda minutes: timezone(timedelta(minutes=minutes))),
)
floats = st.floats(allow_nan=False, allow_infinity=False)
json_values: st.SearchStrategy[Any] = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), floats, texts),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(texts, inner, max_size=3)),
    max_leaves=6,
)  # fmt: skip

_BY_TYPE: Final[dict[object, st.SearchStrategy[Any]]] = {
    int | str: ids,
    str: texts,
    str | None: st.none() | texts,
    int | float | None: numbers,
}


def _of_field(field: "attrs.Attribute[Any]") -> st.SearchStrategy[Any]:
    if field.name in ("extra", "repaired"):
        return st.dictionaries(texts, json_values, max_size=3)
    if field.name == "created_at":
        return st.none() | st.datetimes(timezones=zones)
    if field.name.startswith("date_"):
        return st.none() | st.dates()
    return _BY_TYPE[field.type]


anis = st.builds(Ani, **{field.name: _of_field(field) for field in attrs.fields(Ani)})

_NAMES: Final = [name for name in errors.__all__ if name not in ("BatchError", "BatchStoppedError")]


def _made(name: str, words: str, status: int, extra: str | None) -> NRMError:
    kind: Any = getattr(errors, name)
    if issubclass(kind, errors.RateLimitError):
        return kind(status, words, extra, words, 2.5)  # type: ignore[no-any-return]  # kind is Any
    if issubclass(kind, errors.APIError):
        return kind(status, words, extra, words)  # type: ignore[no-any-return]  # kind is Any
    if issubclass(kind, errors.OutcomeUnknownError):
        return kind(words, status, extra)  # type: ignore[no-any-return]  # kind is Any
    if issubclass(kind, errors.ResponseError):
        return kind(words, extra)  # type: ignore[no-any-return]  # kind is Any
    return kind(words)  # type: ignore[no-any-return]  # kind is Any


def _noted(error: NRMError, attempts: int, page: int | None) -> NRMError:
    error.page = page
    return error.at("POST", "/pause", attempts, attempts / 3)


plain_failures = st.builds(
    _noted,
    st.builds(_made, st.sampled_from(_NAMES), texts, st.integers(100, 599), st.none() | texts),
    st.integers(0, 9),
    st.none() | st.integers(1, 500),
)
failures = plain_failures | plain_failures.map(errors.BatchStoppedError)

_counts = st.integers(0, 500)
inventories = st.builds(
    Inventory,
    rows=st.lists(anis, max_size=5).map(tuple),
    complete=st.booleans(),
    consistent=st.booleans(),
    passes=_counts,
    pages=_counts,
    duplicates=_counts,
    malformed=st.lists(st.builds(MalformedRow, texts, texts, st.none() | texts)).map(tuple),
    missing=st.lists(plain_failures, max_size=2).map(tuple),
    elapsed=st.floats(0, 1e6),
    requests=_counts,
    started=st.none() | st.datetimes(timezones=zones),
    ended=st.none() | st.datetimes(timezones=zones),
    notes=st.lists(texts, max_size=2).map(tuple),
    why_incomplete=st.none() | texts,
)

_phones = st.from_regex(r"[2-9][0-9]{9}", fullmatch=True) | st.just("0123456789")
_about = {"carrier": st.none() | st.just("012345"), "note": st.none() | texts}
_dates = st.sampled_from(["2026-05-27", "20260527120000"])
actions = st.one_of(
    st.builds(Pause, _phones, date=st.none() | _dates, **_about),
    st.builds(Activate, _phones, date=_dates, **_about),
    st.builds(Remediate, _phones, **_about),
)
_common: dict[str, Any] = {
    "index": st.integers(0, 10**6),
    "attempts": _counts,
    "elapsed": st.floats(0, 1e6),
}


@st.composite
def results(draw: st.DrawFn) -> CallResult:
    """Return a result of either class, of an action or of an invalid input."""
    common = {name: draw(strategy) for name, strategy in _common.items()}
    action = draw(st.none() | actions)
    if action is None:
        return Failed(
            input=draw(st.one_of(texts, st.integers(), st.none(), st.text())),
            action=None,
            outcome=Outcome.NOT_APPLIED,
            error=draw(failures),
            **common,
        )
    common |= {"input": action, "action": action}
    if draw(st.booleans()):
        outcome = draw(st.sampled_from([Outcome.APPLIED, Outcome.CONFIRMED]))
        receipt = Receipt(
            draw(st.just(action.ani) | texts),
            draw(texts),
            draw(st.none() | texts),
            outcome is Outcome.CONFIRMED,
            draw(st.none() | texts),
        )
        return Succeeded(outcome=outcome, receipt=receipt, **common)
    outcome = draw(st.sampled_from([Outcome.REJECTED, Outcome.NOT_APPLIED, Outcome.UNKNOWN]))
    return Failed(outcome=outcome, error=draw(failures), **common)


reports = st.builds(BatchReport, st.lists(results(), max_size=5).map(tuple), st.floats(0, 1e6))
