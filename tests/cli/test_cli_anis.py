"""The command ``anis``: output, number of requests, invalid usage and errors."""

import json

import pytest

from nrm_async.sandbox import Sandbox
from tests.cli.conftest import Cli, PointAt
from tests.fakes import API_KEY, StubAPI


async def test_anis_prints_a_table(cli: Cli, sandbox: Sandbox) -> None:
    """The table has one header, a row for each number and a line with the count."""
    done = await cli("anis", "--page-size", "50")
    title, *rows, last = done.out.splitlines()
    assert (done.code, done.err) == (0, "")
    assert " ".join(title.split()) == "ANI Status Campaign State Dials Contact % Block %"
    assert [row.split()[0] for row in rows] == list(sandbox.phones)
    assert last == "120 numbers listed"


async def test_anis_as_json_lines(cli: Cli, sandbox: Sandbox) -> None:
    """Each line is an object with every field under its Python name."""
    done = await cli("anis", "--json")
    rows = [json.loads(line) for line in done.out.splitlines()]
    assert [row["phone"] for row in rows] == list(sandbox.phones)
    assert {"status_label", "block_rate", "last_30_days_dials", "extra"} <= set(rows[0])


async def test_limit_across_pages(cli: Cli, sandbox: Sandbox) -> None:
    """The listing has exactly as many numbers as the limit."""
    done = await cli("anis", "--json", "--limit", "25", "--page-size", "10")
    phones = [json.loads(line)["phone"] for line in done.out.splitlines()]
    assert phones == list(sandbox.phones[:25])


async def test_small_limit_fetches_little(cli: Cli, sandbox: Sandbox) -> None:
    """Listing three numbers sends at most two requests."""
    done = await cli("anis", "--json", "--limit", "3")
    assert len(done.out.splitlines()) == 3
    assert sandbox.requests <= 2


async def test_page_fetches_one_page(cli: Cli, sandbox: Sandbox) -> None:
    """With ``--page``, only that page is fetched."""
    done = await cli("anis", "--json", "--page", "3", "--page-size", "50", "--limit", "5")
    phones = [json.loads(line)["phone"] for line in done.out.splitlines()]
    assert phones == list(sandbox.phones[100:105])
    assert sandbox.requests == 1


async def test_number_filters_by_prefix(cli: Cli, sandbox: Sandbox) -> None:
    """Only numbers with the prefix are listed."""
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
async def test_invalid_option_sends_nothing(
    cli: Cli, sandbox: Sandbox, wrong: tuple[str, ...]
) -> None:
    """Invalid usage exits with 2, without a traceback."""
    done = await cli("anis", *wrong)
    assert (done.code, done.out, sandbox.requests) == (2, "", 0)
    assert "Traceback" not in done.err


async def test_missing_key_exits_with_2(
    cli: Cli, monkeypatch: pytest.MonkeyPatch, sandbox: Sandbox
) -> None:
    """The error is one line that names the variable to set."""
    monkeypatch.delenv("OUTBOUNDIQ_API_KEY")
    done = await cli("anis")
    assert (done.code, sandbox.requests) == (2, 0)
    assert done.err == "nrm-async: the API key is missing: set OUTBOUNDIQ_API_KEY\n"


@pytest.mark.parametrize("key", ["wrong-key", "sandbox-key-restricted"])
async def test_rejected_key_exits_with_3(
    cli: Cli, monkeypatch: pytest.MonkeyPatch, key: str
) -> None:
    """The error is one line that does not contain the key."""
    monkeypatch.setenv("OUTBOUNDIQ_API_KEY", key)
    done = await cli("anis")
    assert (done.code, done.out) == (3, "")
    assert done.err.count("\n") == 1
    assert "Invalid API key" in done.err
    assert key not in done.err


async def test_api_error_exits_with_1(run_cli: Cli, point_at: PointAt, stub_api: StubAPI) -> None:
    """The error contains the status, the message and the request id."""
    point_at(stub_api.url, API_KEY)
    stub_api.reply({"success": False, "message": "not today"}, 422, {"x-request-id": "r-1"})
    done = await run_cli("anis")
    assert (done.code, done.out) == (1, "")
    assert "HTTP 422: not today" in done.err
    assert done.err.endswith("[request id r-1]\n")


HOSTILE = "[red]x[/red] [/] :smile: \x1b[2J\x07\u202e\r\n"


@pytest.fixture
def hostile_page(point_at: PointAt, stub_api: StubAPI) -> None:
    """An API that sends markup, control characters and a malformed row."""
    point_at(stub_api.url, API_KEY)
    rows = [
        {"id": 1, "phone": "2345678901", "statusLabel": HOSTILE, "campaignName": HOSTILE},
        {"id": 2, "phone": "2345678902\x1b[2J", "blockRate": "much"},
    ]
    stub_api.reply({"count": 2, "total_anis": 2, "total_pages": 1, "data": rows})


@pytest.mark.usefixtures("hostile_page")
async def test_markup_and_control_characters_are_escaped(run_cli: Cli) -> None:
    """Markup is printed literally, and control characters are escaped."""
    done = await run_cli("anis")
    assert done.out.replace("\n", "").isprintable()
    assert r"[red]x[/red] [/] :smile: \x1b[2J\x07\u202e\r\n" in done.out
    assert len(done.out.splitlines()) == 3


@pytest.mark.usefixtures("hostile_page")
async def test_malformed_row_exits_with_1(run_cli: Cli) -> None:
    """The other rows are listed, and a warning names the row and its field."""
    done = await run_cli("anis", "--json")
    assert done.code == 1
    assert [json.loads(line)["status_label"] for line in done.out.splitlines()] == [HOSTILE]
    assert "1 malformed row left out; " in done.err
    assert "$.data[1].blockRate" in done.err
    assert done.err.replace("\n", "").isprintable()
