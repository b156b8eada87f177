"""Actions: normalised and validated when they are created, so that any of them can be sent."""

import copy
import pickle
from datetime import UTC, date, datetime, timedelta, timezone
from typing import Any

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nrm_async.actions import Action, Activate, Pause, Remediate, normalize_ani
from nrm_async.errors import InvalidRequestError, NRMError
from nrm_async.models import Ani

ANI = "2345678901"
DAY = "2026-05-27"
HUGE = 10**5_000  # more digits than Python converts to text


def pause(**options: Any) -> Pause:
    return Pause(ANI, **options)


def activate(**options: Any) -> Activate:
    return Activate(ANI, **({"date": DAY} | options))


def remediate(**options: Any) -> Remediate:
    return Remediate(ANI, **options)


each_kind = pytest.mark.parametrize("make", [pause, activate, remediate])
each_dated = pytest.mark.parametrize("make", [pause, activate])


def check_invalid(error: BaseException, argument: str) -> None:
    assert type(error) is InvalidRequestError
    assert isinstance(error, ValueError)
    assert isinstance(error, NRMError)
    assert str(error).startswith(f"{argument} ")
    assert len(str(error)) <= 200
    assert not error.maybe_applied


@pytest.mark.parametrize(
    ("given_as", "normal"),
    [
        ("2345678901", "2345678901"),
        ("+1 (234) 567-8901", "2345678901"),
        ("12345678901", "2345678901"),
        ("1-234-567-8901", "2345678901"),
        ("+1.234.567.8901", "2345678901"),
        ("  2345678901\n", "2345678901"),
        ("234\u2011567\u20138901", "2345678901"),
        ("234\u00a0567\u00a08901", "2345678901"),
        ("1234567890", "1234567890"),
        ("22345678901", "22345678901"),
        ("+442079460000", "442079460000"),
        ("5678901", "5678901"),
        ("0000000", "0000000"),
        ("123456789012345", "123456789012345"),
        (2345678901, "2345678901"),
        (12345678901, "2345678901"),
        (Ani(1, "+1 (234) 567-8901"), "2345678901"),
    ],
)
def test_numbers_are_normalised(given_as: Any, normal: str) -> None:
    """Punctuation and the leading 1 of eleven digits are removed; all other digits stay."""
    assert normalize_ani(given_as) == normal
    assert Pause(given_as).ani == Activate(given_as, date=DAY).ani == normal
    assert Remediate(given_as).ani == normal


@pytest.mark.parametrize(
    ("given_as", "rule"),
    [
        *[(text, "must not be empty") for text in ("", "   ", "+", "()", "-.-")],
        *[(text, "must be digits") for text in ("234567890a", "call me", "234567890x12")],
        *[(text, "must be digits") for text in ("++2345678901", "234+5678901", "2345678901;1")],
        *[
            (text, "must be digits")
            for text in ("２３４５６７８９０１", "٢٣٤٥٦٧٨٩٠١", "234567890²")
        ],
        *[(text, "must be digits") for text in ("2345678901\x00", "2345678901\ud800")],
        *[(text, "must have 7 to 15 digits, not 6") for text in ("234567", 234567)],
        *[("2" * digits, "must have 7 to 15 digits") for digits in (16, 100, 10_000)],
        *[
            (number, "must have no sign and at most 15")
            for number in (10**15, 10**400, -2345678901)
        ],
        *[(value, "must be text or a whole number") for value in (True, None)],
        *[(value, "must be text or a whole number") for value in ([ANI], {"ani": ANI}, b"234")],
        (Ani(1, ""), "must not be empty"),
    ],
)
def test_invalid_numbers_are_refused(given_as: Any, rule: str) -> None:
    """The error names the argument and the rule that it breaks."""
    for make in (normalize_ani, Pause, Remediate, lambda ani: Activate(ani, date=DAY)):
        with pytest.raises(InvalidRequestError, match=rf"^ani {rule}") as caught:
            make(given_as)
        check_invalid(caught.value, "ani")


def test_integers_too_long_for_text_are_refused() -> None:
    """An integer that Python does not convert to text is refused as any other too long one."""
    with pytest.raises(InvalidRequestError) as caught:
        normalize_ani(HUGE)
    check_invalid(caught.value, "ani")
    with pytest.raises(InvalidRequestError) as caught:
        pause(carrier=HUGE)
    check_invalid(caught.value, "carrier")


@given(
    digits=st.text("0123456789", min_size=7, max_size=15),
    marks=st.lists(st.sampled_from(" ().-\u2013")),
)
def test_normal_form_is_stable(digits: str, marks: list[str]) -> None:
    """Punctuation does not matter, and normalising a normal form does not change it."""
    normal = normalize_ani(digits)
    assert normalize_ani("".join(marks).join(digits)) == normal
    assert digits.endswith(normal)
    if not (len(normal) == 11 and normal.startswith("1")):
        assert normalize_ani(normal) == normal


@given(value=st.text() | st.integers() | st.floats() | st.none() | st.binary())
def test_normalising_any_value(value: Any) -> None:
    """It returns 7 to 15 ASCII digits or raises ``InvalidRequestError``, nothing else."""
    try:
        normal = normalize_ani(value)
    except InvalidRequestError as error:
        check_invalid(error, "ani")
    else:
        assert normal.isascii()
        assert normal.isdigit()
        assert 7 <= len(normal) <= 15


@each_kind
@pytest.mark.parametrize(
    ("carrier", "sent"), [("130077", "130077"), (130077, "130077"), (None, None)]
)
def test_carrier_is_normalised(make: Any, carrier: Any, sent: str | None) -> None:
    """A carrier id is six digits, as text or as an integer; it is optional."""
    assert make(carrier=carrier).carrier == sent


@each_kind
@pytest.mark.parametrize(
    "carrier",
    [
        *("", "13007", "1300777", "13007a", "１３００７７", " 130077", "130077\n"),
        *(13007, True, 130077.0, -130077, 10**400, b"130077"),
    ],
    ids=lambda value: ascii(value)[:20],
)
def test_invalid_carrier_is_refused(make: Any, carrier: Any) -> None:
    """The error names the argument."""
    with pytest.raises(InvalidRequestError, match="six digits") as caught:
        make(carrier=carrier)
    check_invalid(caught.value, "carrier")


@each_kind
@pytest.mark.parametrize(
    "note", ["Spam tag identified", "", "naïve ☎ \U0001f4de", "two\nlines", None]
)
def test_note_is_kept_unchanged(make: Any, note: str | None) -> None:
    """A note is any text; it is optional."""
    assert make(note=note).note == note


@each_kind
@pytest.mark.parametrize("note", [b"text", 5, True, ["text"], "half \ud83d", "\udcff"], ids=ascii)
def test_invalid_note_is_refused(make: Any, note: Any) -> None:
    """A value that is not text, or text that cannot be encoded, is refused by name."""
    with pytest.raises(InvalidRequestError) as caught:
        make(note=note)
    check_invalid(caught.value, "note")
    assert caught.value.__suppress_context__ or caught.value.__context__ is None


@each_kind
def test_note_is_not_in_the_repr(make: Any) -> None:
    """A note may hold private data, which must not reach logs."""
    assert "secret" not in repr(make(note="secret"))


EAST = timezone(timedelta(hours=5, minutes=30))
WEST = timezone(timedelta(hours=-8))


@each_dated
@pytest.mark.parametrize(
    ("when", "sent"),
    [
        ("20250126120000", "20250126120000"),
        ("2026-05-27", "2026-05-27"),
        ("2024-02-29", "2024-02-29"),
        (date(2026, 5, 27), "2026-05-27"),
        (date(987, 1, 2), "0987-01-02"),
        (datetime(2026, 5, 27, 9, 8, 7), "20260527090807"),  # noqa: DTZ001 - naive is meant
        (datetime(987, 1, 2), "09870102000000"),  # noqa: DTZ001 - naive is meant
        (datetime(2026, 5, 27, 9, 8, 7, 999_999, tzinfo=UTC), "20260527090807"),
        (datetime(2026, 5, 27, 2, 0, tzinfo=EAST), "20260526203000"),
        (datetime(2026, 12, 31, 20, 0, tzinfo=WEST), "20270101040000"),
    ],
)
def test_date_is_normalised(make: Any, when: Any, sent: str) -> None:
    """Text in both formats passes unchanged; dates are formatted, aware datetimes in UTC."""
    assert make(date=when).date == sent


@each_dated
@pytest.mark.parametrize(
    "when",
    [
        *("", "today", "27.05.2026", "2026/05/27", "2026-5-27", "20260527", "2026-05-27T00:00:00"),
        *("2026-02-30", "2026-13-01", "20260230120000", "20260527240000", "20260527126000"),
        *("0000-01-01", "00000101000000", " 2026-05-27", "2026-05-27\n", "２０２６-05-27"),
        *(20260527, 1779840000.0, True, b"2026-05-27", ["2026-05-27"], timedelta(days=1)),
        datetime.min.replace(tzinfo=EAST),
        datetime.max.replace(tzinfo=WEST),
    ],
    ids=ascii,
)
def test_invalid_date_is_refused(make: Any, when: Any) -> None:
    """Other formats, days that do not exist and other types are refused by name."""
    with pytest.raises(InvalidRequestError) as caught:
        make(date=when)
    check_invalid(caught.value, "date")


@given(when=st.dates() | st.datetimes())
def test_formatted_dates_are_accepted_as_text(when: date) -> None:
    """Every date and datetime is formatted in full, and accepted again in that format."""
    sent = pause(date=when).date
    assert sent is not None
    assert len(sent) == (14 if isinstance(when, datetime) else 10)
    assert pause(date=sent).date == sent


def test_pause_date_is_optional() -> None:
    """Without a date, or with ``None``, the date is ``None``."""
    assert pause().date is None
    assert pause(date=None).date is None


def test_activate_requires_a_date() -> None:
    """A missing date is a ``TypeError``, ``None`` is refused by name."""
    with pytest.raises(TypeError, match="date"):
        Activate(ANI)  # type: ignore[call-arg]  # tested
    with pytest.raises(InvalidRequestError, match="required to activate") as caught:
        activate(date=None)
    check_invalid(caught.value, "date")


def test_remediate_has_no_date() -> None:
    """A date cannot be passed by mistake."""
    with pytest.raises(TypeError, match="date"):
        remediate(date=DAY)


@each_kind
@pytest.mark.parametrize("field", ["ani", "carrier", "note"])
def test_actions_are_frozen(make: Any, field: str) -> None:
    """A field that was validated cannot be changed."""
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        setattr(make(), field, "x")


def test_options_are_keyword_only() -> None:
    """Only the number is positional, so that a note cannot be taken for a carrier."""
    for make in (Pause, Activate, Remediate):
        with pytest.raises(TypeError, match="positional"):
            make(ANI, "130077")  # type: ignore[call-arg]  # tested


def test_actions_compare_by_value() -> None:
    """Actions of one kind with equal fields are equal and have equal hashes; others differ."""
    one, two = Pause("+1 234 567 8901", carrier=130077), Pause(ANI, carrier="130077")
    others: list[Action] = [Remediate(ANI, carrier="130077"), Pause(ANI), activate()]
    assert one == two
    assert len({one, two, *others}) == 4


def test_action_is_abstract() -> None:
    """The base class itself cannot be created."""
    for arguments in ((), (ANI,)):
        with pytest.raises(TypeError, match="Action is abstract"):
            Action(*arguments)


@each_kind
def test_actions_can_be_copied_and_pickled(make: Any) -> None:
    """A copy is an equal action of the same kind."""
    action = make(carrier=130077, note="resting")
    copies = [copy.deepcopy(action), pickle.loads(pickle.dumps(action)), attrs.evolve(action)]
    assert [type(other) for other in copies] == [type(action)] * 3
    assert copies == [action] * 3
