"""Bulk actions: the output for each input, and the exit code."""

import asyncio
import json
import os

import pytest

from nrm_async import Pause
from nrm_async.cli.inputs import Inputs
from nrm_async.sandbox import Sandbox
from tests.cli.conftest import Cli, PointAt
from tests.fakes import API_KEY, StubAPI

FIELDS = [
    "index",
    "ani",
    "action",
    "carrier",
    "note",
    "date",
    "outcome",
    "ok",
    "attempts",
    "elapsed",
    "status",
    "error",
    "error_type",
    "request_id",
]


async def test_pause_prints_a_table_in_input_order(
    cli: Cli, sandbox: Sandbox, active: list[str]
) -> None:
    """The exit code is 0 when every action is applied, and the options reach the API."""
    done = await cli("pause", *active[:3], "--carrier", "123456", "--note", "rest")
    title, *rows, last = done.out.splitlines()
    assert (done.code, done.err) == (0, "")
    assert title.split() == ["ANI", "Outcome", "Status", "or", "error"]
    assert [row.split() for row in rows] == [[ani, "applied", "paused"] for ani in active[:3]]
    assert last.startswith("3 numbers in ")
    assert last.endswith(" s: 3 applied")
    assert {(entry.carrier, entry.note) for entry in sandbox.books} == {("123456", "rest")}


async def test_bad_inputs_and_refusals_are_results(
    cli: Cli, active: list[str], paused: list[str]
) -> None:
    """Bad inputs and refusals do not stop the other actions; the exit code is 1."""
    done = await cli("pause", active[0], "no number", paused[0])
    assert done.code == 1
    assert "Only active and managed ANIs can be paused" in done.out
    assert done.out.splitlines()[-1].endswith(" s: 1 applied, 1 rejected, 1 not applied")


async def test_results_as_json_have_all_fields(cli: Cli, active: list[str]) -> None:
    """Each line has the same fields, and ``index`` is the position of the input."""
    done = await cli("pause", active[0], "bad", "0000000", "--json")
    by_index = {line["index"]: line for line in map(json.loads, done.out.splitlines())}
    assert all(list(line) == FIELDS for line in by_index.values())
    assert done.code == 1
    good, bad, unknown = (by_index[index] for index in range(3))
    assert (good["ok"], good["status"], good["error"]) == (True, "paused", None)
    assert (bad["ok"], bad["outcome"], bad["ani"]) == (False, "not_applied", "bad")
    assert (bad["error_type"], bad["attempts"]) == ("InvalidRequestError", 0)
    assert (unknown["error"], unknown["outcome"]) == ("ANI not found in inventory", "rejected")
    assert unknown["request_id"].startswith("sandbox-")


async def test_activate_with_a_date(cli: Cli, paused: list[str]) -> None:
    """A paused number becomes active."""
    done = await cli("activate", paused[0], "--date", "2026-01-31", "--json")
    assert done.code == 0
    assert json.loads(done.out)["status"] == "active"


async def test_refusal_prints_the_message_of_the_api(cli: Cli, active: list[str]) -> None:
    """A second remediation is refused, and the exit code is 1."""
    assert (await cli("remediate", active[0])).code == 0
    done = await cli("remediate", active[0])
    assert done.code == 1
    assert "within cooldown" in done.out


@pytest.mark.parametrize(
    "wrong",
    [("--carrier", "12"), ("--date", "tomorrow"), ("--concurrency", "5000"), ("--api-key", "x")],
)
async def test_invalid_option_sends_nothing(
    cli: Cli, sandbox: Sandbox, active: list[str], wrong: tuple[str, str]
) -> None:
    """An invalid option is one usage error, not a failure of each number."""
    done = await cli("pause", active[0], *wrong)
    assert (done.code, done.out, sandbox.requests) == (2, "", 0)
    assert "Traceback" not in done.err


async def test_rejected_key_exits_with_3(
    cli: Cli, active: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every number has a result, and the output does not contain the key."""
    monkeypatch.setenv("OUTBOUNDIQ_API_KEY", "another-key")
    done = await cli("pause", *active[:2])
    assert done.code == 3
    assert done.out.count("Invalid API key") == 2
    assert "another-key" not in done.out + done.err


async def test_markup_and_control_characters_are_escaped(
    run_cli: Cli, point_at: PointAt, stub_api: StubAPI
) -> None:
    """Markup in a refusal is printed literally; control characters in an input are escaped."""
    point_at(stub_api.url, API_KEY)
    stub_api.reply({"success": False, "message": "[bold]no[/bold] [/x] \x1b[2J\x9b"})
    done = await run_cli("pause", "2345678901", "\x1b]0;title\x07")
    assert done.code == 1
    assert done.out.replace("\n", "").isprintable()
    assert "[bold]no[/bold] [/x] " in done.out


def _pipe_with(text: bytes) -> int:
    reader, writer = os.pipe()
    os.write(writer, text)
    os.close(writer)
    return reader


async def test_dash_stands_for_the_lines_of_standard_input() -> None:
    """Numbers keep their order; blank lines, comments and a byte order mark are skipped."""
    source = _pipe_with(
        b"\xef\xbb\xbf# mine\n2345678902\r\n\n # rest\n  (234) 567-8903 \n2345678904"
    )
    inputs = Inputs("pause", ("2345678901", "-", "2345678905"), {})
    got = [item async for item in inputs.given_inputs(source)]
    os.close(source)
    assert got == [Pause(number) for number in range(2345678901, 2345678906)]


async def test_lines_are_read_while_standard_input_is_open() -> None:
    """A complete line is returned before the input ends."""
    reader, writer = os.pipe()
    source = Inputs("pause", ("-",), {}).given_inputs(reader)
    os.write(writer, b"2345678901\n23")
    assert await anext(source) == Pause("2345678901")
    following = asyncio.ensure_future(anext(source))
    os.write(writer, b"45678902\n")
    assert await following == Pause("2345678902")
    os.close(writer)
    assert [item async for item in source] == []
    os.close(reader)


async def test_unreadable_standard_input_raises() -> None:
    """An error in the reading thread is raised in the caller."""
    directory = os.open("/", os.O_RDONLY)
    with pytest.raises(OSError, match="directory"):
        await anext(Inputs("pause", ("-",), {}).given_inputs(directory))
    os.close(directory)
