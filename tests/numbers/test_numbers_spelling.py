"""Phone numbers as data frames, spreadsheets, chats and databases write them."""

import json
import math
import unicodedata
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nrm_async import Ani, InvalidRequestError, NRMClient, Pause, normalize_ani
from nrm_async.inventory import matches_ani
from nrm_async.sandbox import Sandbox
from nrm_async.testing import MockTransport, Request, Response, json_response
from tests.conftest import API_KEY

ANI = "2345678901"

# Every character that Unicode calls a format character, a blank or a dash.
MARKS = [
    chr(code)
    for code in range(0x11_0000)
    if unicodedata.category(chr(code)) in ("Cf", "Zs", "Zl", "Zp", "Pd")
]


class Whole:
    """A whole number as ``numpy.int64`` is: not an ``int``, but usable as one."""

    def __init__(self, value: int) -> None:
        self.value = value

    def __index__(self) -> int:
        return self.value

    def __repr__(self) -> str:
        return f"Whole({self.value})"


@pytest.mark.parametrize(
    "spelling",
    [
        "2345678901.0",
        "2345678901.00",
        "2345678901,0",
        "+12345678901.0",
        " 2345678901.0\n",
        "'2345678901",
        2345678901.0,
        12345678901.0,
        Whole(2345678901),
        Ani(1, "2345678901.0"),
        "\u202a2345678901\u202c",
        "\u200b234\u200d567\u20608901\ufeff",
        "+1\u00a0234\u202f567\u20118901",
        "(234)\u3000567\ufe638901",
        "234\u2212567\u22128901",
        "\ufeff2345678901.0\u200b",
    ],
    ids=ascii,
)
def test_number_in_another_spelling(spelling: Any) -> None:
    """Decimals without a fraction, whole numbers of any type and invisible marks are understood."""
    assert normalize_ani(spelling) == ANI
    assert Pause(spelling).ani == ANI


@pytest.mark.parametrize(
    "spelling",
    [
        "23456789.01",
        "2345678901.5",
        "2345678901,5",
        "2.345678901E9",
        "2345678901e0",
        "2,345,678,901",
        "2,345,678,901.0",
        "2,345,678,901.5",
        "2.345.678.901,00",
        "2 345 678 901.5",
        "2\u00a0345\u00a0678\u00a0901.125",
        "(234) 567-8901.0",
        "234.567.8901.5",
        "234.567.8901.00",
        "-23456789.012",
        "(23456789.012)",
        "234567.8901",
        "1.2345678901",
        ".2345678901",
        2345678901.5,
        1e-3,
    ],
)
def test_number_that_is_not_written_out(spelling: Any) -> None:
    """A fraction, an exponent and thousands separators are refused, because digits are in doubt."""
    rule = "ani must be written out in digits, because a phone number has no decimals, exponent"
    with pytest.raises(InvalidRequestError, match=rule):
        normalize_ani(spelling)


@pytest.mark.parametrize(
    ("spelling", "number"),
    [
        ("234.567.8901", ANI),
        ("+1.234.567.8901", ANI),
        ("+1.2345678901", ANI),
        ("(234) 567.8901", ANI),
        ("1-234-567.8901", ANI),
        ("+1 234 567.8901", ANI),
        ("06.12.34.56.78", "0612345678"),
        ("+44 20 7946.0958", "442079460958"),
    ],
)
def test_points_between_groups_are_punctuation(spelling: str, number: str) -> None:
    """Points of phone numbers are not decimal points."""
    assert normalize_ani(spelling) == number


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_missing_value_of_a_data_frame(value: float) -> None:
    """NaN and infinity are named, and are no numbers."""
    with pytest.raises(InvalidRequestError, match=r"^ani must be text or a whole number, not -?\w"):
        normalize_ani(value)


@pytest.mark.parametrize("value", [1e15, 2.0**53, 1e300, -2345678901.0, Whole(10**15)])
def test_whole_number_out_of_range(value: Any) -> None:
    """More than 15 digits and signs are refused, whatever the type."""
    with pytest.raises(InvalidRequestError, match="must have no sign and at most 15 digits"):
        normalize_ani(value)


@pytest.mark.parametrize("value", [True, object(), 2345678901 + 0j, b"2345678901"])
def test_value_that_is_no_number(value: Any) -> None:
    """Truth values and other types are refused by name."""
    with pytest.raises(InvalidRequestError, match="must be text or a whole number, not "):
        normalize_ani(value)


SPELLED = st.text(st.sampled_from("0123456789+-(). ,eE'\u00a0\u200b\u2011"), max_size=24)
NUMBERS = SPELLED | st.floats() | st.integers(-(10**16), 10**16) | st.text()


def _digits(text: str) -> str:
    return "".join(character for character in text if character in "0123456789")


@given(spelling=NUMBERS)
def test_accepted_spelling_keeps_its_digits(spelling: Any) -> None:
    """The result has 7 to 15 digits, is stable, and has the digits of the input.

    All that may be missing is a leading 1 of eleven digits, and a fraction of zeros at the end.
    """
    try:
        number = normalize_ani(spelling)
    except InvalidRequestError:
        return
    assert 7 <= len(number) <= 15
    given_digits = _digits(f"{int(spelling)}" if isinstance(spelling, float) else str(spelling))
    without_code = given_digits.removeprefix("1")
    kept = {given_digits, without_code} if len(given_digits) == 11 else {given_digits}
    if number not in kept:
        point = max(str(spelling).rfind("."), str(spelling).rfind(","))
        whole, fraction = str(spelling)[:point], str(spelling)[point:]
        assert point >= 0
        assert set(_digits(fraction)) == {"0"}
        assert number in (_digits(whole), _digits(whole).removeprefix("1"))
    if not (len(number) == 11 and number.startswith("1")):
        assert normalize_ani(number) == number


@given(
    whole=st.from_regex(r"[0-9]{7,15}", fullmatch=True),
    fraction=st.from_regex(r"[0-9]{1,8}", fullmatch=True),
)
def test_a_decimal_is_its_whole_part_or_refused(whole: str, fraction: str) -> None:
    """The fraction never becomes a part of the number."""
    if set(fraction) == {"0"}:
        assert normalize_ani(f"{whole}.{fraction}") == normalize_ani(whole)
    else:
        with pytest.raises(InvalidRequestError, match="no decimals"):
            normalize_ani(f"{whole}.{fraction}")


@given(number=st.integers(10**6, 10**15 - 1))
def test_types_of_whole_numbers_agree(number: int) -> None:
    """An ``int``, a whole ``float``, another integer and text give the same number."""
    expected = normalize_ani(number)
    for other in (float(number), Whole(number), str(number), f"{number}.0", str(float(number))):
        if not isinstance(other, str) or "e" not in other:  # Python writes none below 1e16
            assert normalize_ani(other) == expected


@given(marks=st.lists(st.sampled_from(MARKS), min_size=11, max_size=11))
def test_marks_in_and_around_digits(marks: list[str]) -> None:
    """Format characters, blanks and dashes are stripped, wherever they stand."""
    spelling = "".join(mark + digit for mark, digit in zip(marks, f"{ANI} ", strict=True))
    assert normalize_ani(spelling) == ANI


# Look-ups


def _listing(*phones: str) -> MockTransport:
    """Return an API that filters by the digits of its rows."""

    def answer(request: Request) -> Response:
        wanted = (request.query or {}).get("number", "")
        rows = [
            {"id": index, "phone": phone}
            for index, phone in enumerate(phones)
            if _digits(phone).startswith(wanted)
        ]
        return json_response({"data": rows, "count": len(rows), "total_anis": len(rows)})

    return MockTransport(answer)


@pytest.mark.parametrize(
    "phone", ["+12345678901", "12345678901", "+1 (234) 567-8901", "1-234-567-8901", ANI]
)
async def test_find_a_number_with_a_country_code(phone: str) -> None:
    """A number is found whether or not its row has the country code; its neighbours are not."""
    api = _listing("+12345678902", phone, "1234567890")
    async with NRMClient(API_KEY, transport=api) as nrm:
        found = await nrm.find_ani(ANI)
        assert found is not None
        assert found.phone == phone
        assert await nrm.find_ani("2345678909") is None


async def test_find_in_a_sandbox_with_country_codes() -> None:
    """The sandbox filters by the digits of its rows too."""
    row: Any = {"id": 1, "phone": "+12345678901"}
    async with (
        Sandbox(inventory=[row]) as sandbox,
        NRMClient(sandbox.api_key, base_url=sandbox.url) as nrm,
    ):
        found = await nrm.find_ani(ANI)
        assert found is not None
        assert json.dumps(found.phone) == '"+12345678901"'


async def test_number_that_is_found_costs_one_request() -> None:
    """The second look-up is for numbers that the first one does not find."""
    api = _listing(ANI)
    async with NRMClient(API_KEY, transport=api) as nrm:
        await nrm.find_ani(ANI)
        assert len(api.requests) == 1
        await nrm.find_ani("442079460958")
        assert len(api.requests) == 2, "only ten digits have another spelling"


@pytest.mark.parametrize("phone", ["+12345678901", "2345678901.0", "\u202a2345678901\u202c"])
def test_row_in_another_spelling_matches(phone: str) -> None:
    """Rows are compared by their normal form."""
    assert matches_ani(Ani(1, phone), ANI)
    assert not matches_ani(Ani(1, phone), "2345678902")
