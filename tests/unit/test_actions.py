"""Actions: normalised and checked when they are made, so that any of them can be sent."""

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
HUGE = 10**5_000  # more digits than Python is willing to write


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
def test_normalisation(given_as: Any, normal: str) -> None:
    """Punctuation goes, and the leading 1 of eleven digits; all other digits stay."""
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
        *[(text, "must be digits") for text in ("2345678901\x00", "2345678901\ud800", "1e10")],
        *[(text, "must have 7 to 15 digits, not 6") for text in ("234567", 234567)],
        *[("2" * digits, "must have 7 to 15 digits") for digits in (16, 100, 10_000)],
        *[
            (number, "must have no sign and at most 15")
            for number in (10**15, 10**400, -2345678901)
        ],
        *[(value, "must be text or a whole number") for value in (True, 2345678901.0, None)],
        *[(value, "must be text or a whole number") for value in ([ANI], {"ani": ANI}, b"234")],
        (Ani(1, ""), "must not be empty"),
    ],
)
def test_no_numbers(given_as: Any, rule: str) -> None:
    """What is no phone number is refused with the argument's name and the rule it breaks."""
    for make in (normalize_ani, Pause, Remediate, lambda ani: Activate(ani, date=DAY)):
        with pytest.raises(InvalidRequestError, match=rf"^ani {rule}") as caught:
            make(given_as)
        check_invalid(caught.value, "ani")


def test_number_too_long_to_be_written() -> None:
    """A whole number that Python refuses to write is refused like any other that is too long."""
    with pytest.raises(InvalidRequestError) as caught:
        normalize_ani(HUGE)
    check_invalid(caught.value, "ani")
    with pytest.raises(InvalidRequestError) as caught:
        pause(carrier=HUGE)
    check_invalid(caught.value, "carrier")


@given(digits=st.from_regex(r"\A[0-9]{7,15}\Z"), marks=st.lists(st.sampled_from(" ().-\u2013")))
def test_normal_form_is_stable(digits: str, marks: list[str]) -> None:
    """Any 7 to 15 digits are taken in any punctuation, and the normal form is its own."""
    normal = normalize_ani(digits)
    assert normalize_ani("".join(marks).join(digits)) == normal
    assert digits.endswith(normal)
    if not (len(normal) == 11 and normal.startswith("1")):
        assert normalize_ani(normal) == normal


@given(value=st.text() | st.integers() | st.floats() | st.none() | st.binary())
def test_normalisation_gives_digits_or_refuses(value: Any) -> None:
    """Whatever is given, there come 7 to 15 ASCII digits out of it, or one kind of error."""
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
def test_carrier(make: Any, carrier: Any, sent: str | None) -> None:
    """A carrier id is six digits, as text or as a number, or left out."""
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
def test_carrier_rule(make: Any, carrier: Any) -> None:
    """Any other carrier id is refused by name."""
    with pytest.raises(InvalidRequestError, match="six digits") as caught:
        make(carrier=carrier)
    check_invalid(caught.value, "carrier")


@each_kind
@pytest.mark.parametrize(
    "note", ["Spam tag identified", "", "naïve ☎ \U0001f4de", "two\nlines", None]
)
def test_note(make: Any, note: str | None) -> None:
    """A note is any text, kept as it is, or left out."""
    assert make(note=note).note == note


@each_kind
@pytest.mark.parametrize("note", [b"text", 5, True, ["text"], "half \ud83d", "\udcff"], ids=ascii)
def test_note_rule(make: Any, note: Any) -> None:
    """A note that is no text, or text that cannot be encoded, is refused by name."""
    with pytest.raises(InvalidRequestError) as caught:
        make(note=note)
    check_invalid(caught.value, "note")
    assert caught.value.__suppress_context__ or caught.value.__context__ is None


@each_kind
def test_note_is_not_shown(make: Any) -> None:
    """A note may hold what is nobody's business in logs: the repr leaves it out."""
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
def test_date_forms(make: Any, when: Any, sent: str) -> None:
    """Both text forms pass as they are; a date is a day, a datetime a second: in UTC if aware."""
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
def test_date_rule(make: Any, when: Any) -> None:
    """A third form, a day that does not exist and anything else are refused by name."""
    with pytest.raises(InvalidRequestError) as caught:
        make(date=when)
    check_invalid(caught.value, "date")


@given(when=st.dates() | st.datetimes())
def test_any_date_is_written_in_full(when: date) -> None:
    """Every day and moment is written in one of the two forms, which is then taken as text."""
    sent = pause(date=when).date
    assert sent is not None
    assert len(sent) == (14 if isinstance(when, datetime) else 10)
    assert pause(date=sent).date == sent


def test_pause_needs_no_date() -> None:
    """A pause without a date, or with None, has none."""
    assert pause().date is None
    assert pause(date=None).date is None


def test_activate_needs_a_date() -> None:
    """An activation without a date cannot be made, and None is refused by name."""
    with pytest.raises(TypeError, match="date"):
        Activate(ANI)  # type: ignore[call-arg]  # what is tested
    with pytest.raises(InvalidRequestError, match="required to activate") as caught:
        activate(date=None)
    check_invalid(caught.value, "date")


def test_remediate_takes_no_date() -> None:
    """A remediation has no date, so none can be given by mistake."""
    with pytest.raises(TypeError, match="date"):
        remediate(date=DAY)


@each_kind
@pytest.mark.parametrize("field", ["ani", "carrier", "note"])
def test_actions_are_frozen(make: Any, field: str) -> None:
    """What was checked stays as it is."""
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        setattr(make(), field, "x")


def test_options_go_by_name() -> None:
    """Only the number goes by position: a note cannot land in the carrier's place."""
    for make in (Pause, Activate, Remediate):
        with pytest.raises(TypeError, match="positional"):
            make(ANI, "130077")  # type: ignore[call-arg]  # what is tested


def test_actions_are_values() -> None:
    """Actions of the same meaning are equal and hash alike; another kind or field is another."""
    one, two = Pause("+1 234 567 8901", carrier=130077), Pause(ANI, carrier="130077")
    others: list[Action] = [Remediate(ANI, carrier="130077"), Pause(ANI), activate()]
    assert one == two
    assert len({one, two, *others}) == 4
