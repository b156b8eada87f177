"""Listing: what is shown of an inventory, how much is fetched for it, and what can go wrong."""

import json
from collections.abc import Callable

import pytest

from nrm_async.sandbox import Sandbox
from tests.cli.conftest import Cli
from tests.conftest import API_KEY, StubAPI


async def test_anis_is_a_table_for_people(cli: Cli, sandbox: Sandbox) -> None:
    """Titles come once, every number has a row, and the last line counts them."""
    done = await cli("anis", "--page-size", "50")
    title, *rows, last = done.out.splitlines()
    assert (done.code, done.err) == (0, "")
    assert title.split() == [
        "ANI",
        "Status",
        "Campaign",
        "State",
        "Dials",
        "Contact",
        "%",
        "Block",
        "%",
    ]
    assert [row.split()[0] for row in rows] == list(sandbox.phones)
    assert last == "120 numbers listed"


async def test_anis_as_json_is_an_object_on_each_line(cli: Cli, sandbox: Sandbox) -> None:
    """Programs get every field under its Python name, and nothing else."""
    done = await cli("anis", "--json")
    rows = [json.loads(line) for line in done.out.splitlines()]
    assert [row["phone"] for row in rows] == list(sandbox.phones)
    assert {"status_label", "block_rate", "last_30_days_dials", "extra"} <= set(rows[0])


async def test_anis_stops_at_its_limit(cli: Cli, sandbox: Sandbox) -> None:
    """A limit across pages is kept to the row."""
    done = await cli("anis", "--json", "--limit", "25", "--page-size", "10")
    phones = [json.loads(line)["phone"] for line in done.out.splitlines()]
    assert phones == list(sandbox.phones[:25])


async def test_anis_fetches_little_for_a_small_limit(cli: Cli, sandbox: Sandbox) -> None:
    """Three numbers do not cost a read of the account."""
    done = await cli("anis", "--json", "--limit", "3")
    assert len(done.out.splitlines()) == 3
    assert sandbox.requests <= 2


async def test_anis_shows_one_page(cli: Cli, sandbox: Sandbox) -> None:
    """With a page asked for, that one alone is fetched."""
    done = await cli("anis", "--json", "--page", "3", "--page-size", "50", "--limit", "5")
    phones = [json.loads(line)["phone"] for line in done.out.splitlines()]
    assert phones == list(sandbox.phones[100:105])
    assert sandbox.requests == 1


async def test_anis_filters_by_prefix(cli: Cli, sandbox: Sandbox) -> None:
    """The prefix goes to the API."""
    prefix = sandbox.phones[0][:3]
    done = await cli("anis", "--json", "--number", prefix)
    phones = [json.loads(line)["phone"] for line in done.out.splitlines()]
    assert phones == [phone for phone in sandbox.phones if phone.startswith(prefix)]


@pytest.mark.parametrize(
    "wrong",
    [
        ("--page", "0"),
        ("--page-size", "1001"),
        ("--page-size", "0", "--limit", "5"),
        ("--number", "abc"),
        ("--limit", "0"),
        ("--concurrency", "0"),
        ("--timeout", "nan"),
        ("--base-url", "http://example.com/nrm"),
    ],
)
async def test_anis_refuses_options_that_make_no_sense(
    cli: Cli, sandbox: Sandbox, wrong: tuple[str, ...]
) -> None:
    """Wrong usage is exit code 2, told without a traceback, and nothing is sent."""
    done = await cli("anis", *wrong)
    assert (done.code, done.out, sandbox.requests) == (2, "", 0)
    assert "Traceback" not in done.err


async def test_anis_needs_a_key(
    cli: Cli, monkeypatch: pytest.MonkeyPatch, sandbox: Sandbox
) -> None:
    """A missing key is exit code 2, and one line names the variable."""
    monkeypatch.delenv("OUTBOUNDIQ_API_KEY")
    done = await cli("anis")
    assert (done.code, sandbox.requests) == (2, 0)
    assert done.err == "nrm-async: the API key is missing: set OUTBOUNDIQ_API_KEY\n"


@pytest.mark.parametrize("key", ["wrong-key", "sandbox-key-restricted"])
async def test_anis_with_a_wrong_key(cli: Cli, monkeypatch: pytest.MonkeyPatch, key: str) -> None:
    """A key that is not accepted is exit code 3 and one line, without the key."""
    monkeypatch.setenv("OUTBOUNDIQ_API_KEY", key)
    done = await cli("anis")
    assert (done.code, done.out) == (3, "")
    assert done.err.count("\n") == 1
    assert "Invalid API key" in done.err
    assert key not in done.err


async def test_anis_reports_a_refusal(
    anywhere: Cli, environment: Callable[[str, str], None], stub_api: StubAPI
) -> None:
    """Any other answer that is no page is exit code 1, with the request id for support."""
    environment(stub_api.url, API_KEY)
    stub_api.reply({"success": False, "message": "not today"}, 422, {"x-request-id": "r-1"})
    done = await anywhere("anis")
    assert (done.code, done.out) == (1, "")
    assert "HTTP 422: not today" in done.err
    assert done.err.endswith("[request id r-1]\n")


HOSTILE = "[red]x[/red] [/] :smile: \x1b[2J\x07\u202e\r\n"


@pytest.fixture
def hostile_page(environment: Callable[[str, str], None], stub_api: StubAPI) -> None:
    """An API whose texts hold markup, control characters and a row that cannot be read."""
    environment(stub_api.url, API_KEY)
    rows = [
        {"id": 1, "phone": "2345678901", "statusLabel": HOSTILE, "campaignName": HOSTILE},
        {"id": 2, "phone": "2345678902\x1b[2J", "blockRate": "much"},
    ]
    stub_api.reply({"count": 2, "total_anis": 2, "total_pages": 1, "data": rows})


@pytest.mark.usefixtures("hostile_page")
async def test_anis_shows_hostile_text_harmlessly(anywhere: Cli) -> None:
    """Markup and control characters are seen, not obeyed."""
    done = await anywhere("anis")
    assert done.out.replace("\n", "").isprintable()
    assert r"[red]x[/red] [/] :smile: \x1b[2J\x07\u202e\r\n" in done.out
    assert len(done.out.splitlines()) == 3


@pytest.mark.usefixtures("hostile_page")
async def test_anis_tells_of_rows_it_cannot_read(anywhere: Cli) -> None:
    """A listing with a hole in it is exit code 1, and the hole is named."""
    done = await anywhere("anis", "--json")
    assert done.code == 1
    assert [json.loads(line)["status_label"] for line in done.out.splitlines()] == [HOSTILE]
    assert "rows that could not be read, and are missing above: 1; " in done.err
    assert "$.data[1].blockRate" in done.err
    assert done.err.replace("\n", "").isprintable()
