"""The description at /openapi.json is true: schemathesis holds the sandbox against it."""

import asyncio
import re
import sys
from datetime import date
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nrm_async.sandbox import Sandbox
from nrm_async.sandbox.api.openapi import ANI_PATTERN, DATE_PATTERN

CHECK = (sys.executable, "-m", "schemathesis.cli", "run", "--checks", "all", "--no-color")


async def cases_that_pass(folder: Path, most: int, *options: str, **settings: Any) -> int:
    """Let schemathesis try ``most`` examples and more at each endpoint; how many there were."""
    async with Sandbox(200, **settings) as sandbox:
        run = await asyncio.create_subprocess_exec(
            *CHECK,
            f"{sandbox.root_url}/openapi.json",
            *("--header", f"Authorization: Bearer {sandbox.api_key}"),
            *("--max-examples", str(most), "--seed", "1", *options),
            cwd=folder,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        said = (await run.communicate())[0].decode()
        assert sandbox.requests > most
        sandbox.assert_applied("remediate", sandbox.phones[0])
    assert run.returncode == 0, said
    counted = re.search(r"(\d+) generated, (\d+) passed", said)
    assert counted is not None, said
    assert counted[1] == counted[2]
    return int(counted[1])


async def test_a_hundred_cases_and_all_checks(tmp_path: Path) -> None:
    """Good and bad requests alike are answered as the description says."""
    assert await cases_that_pass(tmp_path, 4) >= 100


@pytest.mark.soak
async def test_refusals_as_client_errors_are_described_too(tmp_path: Path) -> None:
    """With that switch a valid request may be a 4xx; all other checks hold."""
    allowed = ("--exclude-checks", "positive_data_acceptance")
    assert await cases_that_pass(tmp_path, 400, *allowed, refusal_status=422) >= 1_500


@pytest.mark.soak
@pytest.mark.parametrize("settings", [{}, {"dialect": "v1", "text_ids": True}])
async def test_two_thousand_cases_and_all_checks(tmp_path: Path, settings: dict[str, Any]) -> None:
    """The long form, with switches too."""
    assert await cases_that_pass(tmp_path, 600, **settings) >= 2_000


async def test_it_is_openapi_3_1_and_says_where_the_api_is() -> None:
    """Tools find the base URL, the security scheme and the four endpoints in it."""
    async with (
        Sandbox(3) as sandbox,
        aiohttp.request("GET", f"{sandbox.root_url}/openapi.json") as answer,
    ):
        told = await answer.json()
        assert told["openapi"].startswith("3.1.")
        assert told["servers"] == [{"url": sandbox.url}]
        assert list(told["paths"]) == ["/anis", "/pause", "/activate", "/remediate"]
        assert told["components"]["securitySchemes"]["bearer"]["scheme"] == "bearer"
        assert len(told["components"]["schemas"]["Ani"]["required"]) == 24


@given(st.integers(0, 9999), st.integers(0, 13), st.integers(0, 32), st.sampled_from(["-", ""]))
def test_the_pattern_of_dates_knows_the_calendar(
    year: int, month: int, day: int, separator: str
) -> None:
    """It takes every real day in both forms, leap days too, and no other."""
    try:
        date(year, month, day)
        is_real = True
    except ValueError:
        is_real = False
    text = f"{year:04d}{separator}{month:02d}{separator}{day:02d}"
    text += "" if separator else "235959"
    assert (re.search(DATE_PATTERN, text) is not None) == is_real


@pytest.mark.parametrize("year", [4, 1600, 1900, 1996, 2000, 2023, 2024, 2100, 2400])
def test_the_pattern_of_dates_knows_leap_years(year: int) -> None:
    """The 29th of February is there in leap years only, by the rule of centuries too."""
    is_leap = year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)
    assert bool(re.search(DATE_PATTERN, f"{year:04d}-02-29")) == is_leap


@pytest.mark.parametrize(
    ("text", "fits"),
    [("2345678901", True), ("+1 (234) 567-8901", True), ("123456", False), ("1" * 16, False)],
)
def test_the_pattern_of_numbers_counts_digits(text: str, fits: bool) -> None:
    """Seven to fifteen digits, whatever stands between them."""
    assert (re.search(ANI_PATTERN, text) is not None) == fits
