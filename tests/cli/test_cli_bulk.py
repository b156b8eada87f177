"""Actions in bulk: each input has its row or line, and the exit code tells the worst."""

import asyncio
import json
import os
from collections.abc import Callable

import pytest

from nrm_async.cli.numbers import Numbers
from nrm_async.sandbox import Sandbox
from tests.cli.conftest import Cli
from tests.conftest import API_KEY, StubAPI

ACTIVE = "ACTIVE_AND_BEING_MANAGED"
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


@pytest.fixture
def active(sandbox: Sandbox) -> list[str]:
    """Numbers that can be paused."""
    return [phone for phone in sandbox.phones if sandbox.status_of(phone) == ACTIVE]


@pytest.fixture
def resting(sandbox: Sandbox) -> list[str]:
    """Numbers that can be activated."""
    return [phone for phone in sandbox.phones if sandbox.status_of(phone) != ACTIVE]


async def test_pause_tells_what_became_of_each(
    cli: Cli, sandbox: Sandbox, active: list[str]
) -> None:
    """All applied is exit code 0; the table is in the order of the arguments."""
    done = await cli("pause", *active[:3], "--carrier", "123456", "--note", "rest")
    title, *rows, last = done.out.splitlines()
    assert (done.code, done.err) == (0, "")
    assert title.split() == ["ANI", "Outcome", "Status", "or", "error"]
    assert [row.split() for row in rows] == [[ani, "applied", "paused"] for ani in active[:3]]
    assert last.startswith("3 numbers in ")
    assert last.endswith(" s: 3 applied")
    assert {(entry.carrier, entry.note) for entry in sandbox.books} == {("123456", "rest")}


async def test_bad_numbers_and_refusals_are_results(
    cli: Cli, active: list[str], resting: list[str]
) -> None:
    """They do not stop the others, and make exit code 1."""
    done = await cli("pause", active[0], "no number", resting[0])
    assert done.code == 1
    assert "Only active and managed ANIs can be paused" in done.out
    assert done.out.splitlines()[-1].endswith(" s: 1 applied, 1 rejected, 1 not applied")


async def test_results_as_json_have_all_fields(cli: Cli, active: list[str]) -> None:
    """Each line is an object with the same fields; the index names the input."""
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


async def test_activate_needs_a_date(cli: Cli, resting: list[str]) -> None:
    """Without one it is wrong usage; with one the number comes back."""
    assert (await cli("activate", resting[0])).code == 2
    done = await cli("activate", resting[0], "--date", "2026-01-31", "--json")
    assert done.code == 0
    assert json.loads(done.out)["status"] == "active"


async def test_remediate_twice_is_refused(cli: Cli, active: list[str]) -> None:
    """The second time the API's words are shown, and the exit code is 1."""
    assert (await cli("remediate", active[0])).code == 0
    done = await cli("remediate", active[0])
    assert done.code == 1
    assert "within cooldown" in done.out


@pytest.mark.parametrize(
    "wrong",
    [("--carrier", "12"), ("--date", "tomorrow"), ("--concurrency", "5000"), ("--api-key", "x")],
)
async def test_wrong_options_are_told_before_anything_is_sent(
    cli: Cli, sandbox: Sandbox, active: list[str], wrong: tuple[str, str]
) -> None:
    """An option that fits no number is exit code 2, not a failure of each."""
    done = await cli("pause", active[0], *wrong)
    assert (done.code, done.out, sandbox.requests) == (2, "", 0)
    assert "Traceback" not in done.err


async def test_no_numbers_is_wrong_usage(cli: Cli) -> None:
    """The command does not guess what to act on."""
    assert (await cli("pause")).code == 2


async def test_a_wrong_key_is_exit_code_3(
    cli: Cli, active: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Although every number has its result, the code tells what to mend."""
    monkeypatch.setenv("OUTBOUNDIQ_API_KEY", "another-key")
    done = await cli("pause", *active[:2])
    assert done.code == 3
    assert done.out.count("Invalid API key") == 2
    assert "another-key" not in done.out + done.err


async def test_words_of_the_api_are_shown_harmlessly(
    anywhere: Cli, environment: Callable[[str, str], None], stub_api: StubAPI
) -> None:
    """Markup in a refusal and control characters in an input are seen, not obeyed."""
    environment(stub_api.url, API_KEY)
    stub_api.reply({"success": False, "message": "[bold]no[/bold] [/x] \x1b[2J\x9b"})
    done = await anywhere("pause", "2345678901", "\x1b]0;title\x07")
    assert done.code == 1
    assert done.out.replace("\n", "").isprintable()
    assert "[bold]no[/bold] [/x] " in done.out


def _pipe_with(text: bytes) -> int:
    reader, writer = os.pipe()
    os.write(writer, text)
    os.close(writer)
    return reader


async def test_numbers_come_from_arguments_and_input_in_order() -> None:
    """A dash stands for the lines of the input; blank ones, remarks and marks are not."""
    source = _pipe_with(
        b"\xef\xbb\xbf# mine\n2345678902\r\n\n # rest\n  (234) 567-8903 \n2345678904"
    )
    got = [number async for number in Numbers(("2345678901", "-", "2345678905"), source)]
    os.close(source)
    assert got == ["2345678901", "2345678902", "(234) 567-8903", "2345678904", "2345678905"]


async def test_numbers_are_read_as_they_come() -> None:
    """A line is given out while the input is still open."""
    reader, writer = os.pipe()
    source = Numbers(("-",), reader)
    os.write(writer, b"2345678901\n23")
    assert await anext(source) == "2345678901"
    following = asyncio.ensure_future(anext(source))
    os.write(writer, b"45678902\n")
    assert await following == "2345678902"
    os.close(writer)
    assert [number async for number in source] == []
    os.close(reader)


async def test_input_that_cannot_be_read_fails() -> None:
    """The reason reaches the caller instead of dying in a thread."""
    directory = os.open("/", os.O_RDONLY)
    with pytest.raises(OSError, match="directory"):
        await anext(Numbers(("-",), directory))
    os.close(directory)
