"""Tests that the document at /openapi.json matches the sandbox, using schemathesis."""

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
    """Run schemathesis with at most ``most`` examples per endpoint, and count the cases."""
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
        output = (await run.communicate())[0].decode()
        assert sandbox.requests > most
        sandbox.assert_applied("remediate", sandbox.phones[0])
    assert run.returncode == 0, output
    counted = re.search(r"(\d+) generated, (\d+) passed", output)
    assert counted is not None, output
    assert counted[1] == counted[2]
    return int(counted[1])


async def test_schemathesis_short(tmp_path: Path) -> None:
    """The responses to a hundred valid and invalid requests match the document."""
    assert await cases_that_pass(tmp_path, 4) >= 100


@pytest.mark.soak
async def test_schemathesis_with_refusals_as_errors(tmp_path: Path) -> None:
    """With refusal_status, valid requests may return a 4xx, and all other checks pass."""
    allowed = ("--exclude-checks", "positive_data_acceptance")
    assert await cases_that_pass(tmp_path, 400, *allowed, refusal_status=422) >= 1_500


@pytest.mark.soak
@pytest.mark.parametrize("settings", [{}, {"dialect": "v1", "text_ids": True}])
async def test_schemathesis_long(tmp_path: Path, settings: dict[str, Any]) -> None:
    """The responses to two thousand requests match the document, with various switches."""
    assert await cases_that_pass(tmp_path, 600, **settings) >= 2_000


async def test_openapi_document() -> None:
    """The document contains the version, base URL, security scheme and endpoints."""
    async with (
        Sandbox(3) as sandbox,
        aiohttp.request("GET", f"{sandbox.root_url}/openapi.json") as answer,
    ):
        document = await answer.json()
        assert document["openapi"].startswith("3.1.")
        assert document["servers"] == [{"url": sandbox.url}]
        assert list(document["paths"]) == ["/anis", "/pause", "/activate", "/remediate"]
        assert document["components"]["securitySchemes"]["bearer"]["scheme"] == "bearer"
        assert len(document["components"]["schemas"]["Ani"]["required"]) == 24


@given(st.integers(0, 9999), st.integers(0, 13), st.integers(0, 32), st.sampled_from(["-", ""]))
def test_date_pattern_matches_the_calendar(year: int, month: int, day: int, separator: str) -> None:
    """The pattern matches every valid day in both formats, and no invalid day."""
    try:
        date(year, month, day)
        is_real = True
    except ValueError:
        is_real = False
    text = f"{year:04d}{separator}{month:02d}{separator}{day:02d}"
    text += "" if separator else "235959"
    assert (re.search(DATE_PATTERN, text) is not None) == is_real


@pytest.mark.parametrize("year", [4, 1600, 1900, 1996, 2000, 2023, 2024, 2100, 2400])
def test_date_pattern_in_leap_years(year: int) -> None:
    """February 29 matches only in leap years, including the century rule."""
    is_leap = year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)
    assert bool(re.search(DATE_PATTERN, f"{year:04d}-02-29")) == is_leap


@pytest.mark.parametrize(
    ("text", "fits"),
    [("2345678901", True), ("+1 (234) 567-8901", True), ("123456", False), ("1" * 16, False)],
)
def test_ani_pattern_counts_digits(text: str, fits: bool) -> None:
    """The pattern matches seven to fifteen digits, with any characters between them."""
    assert (re.search(ANI_PATTERN, text) is not None) == fits
