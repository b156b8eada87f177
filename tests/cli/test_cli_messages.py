"""Messages about a wrong base URL, invalid settings and proxies."""

import pytest
from aiohttp import web

from nrm_async.sandbox import Sandbox
from tests.cli.conftest import Cli, PointAt
from tests.fakes import API_KEY, StubAPI

HINT = "is NRM_BASE_URL (or --base-url) right? it usually ends in /nrm"


@pytest.fixture
def wrong_server(point_at: PointAt, stub_api: StubAPI) -> None:
    """A server that is not the API."""
    point_at(stub_api.url, API_KEY)
    stub_api.answer = lambda request: web.Response(
        status=404, text="<html>Not Found</html>", content_type="text/html"
    )


@pytest.mark.usefixtures("wrong_server")
@pytest.mark.parametrize(
    ("arguments", "path"),
    [
        (("anis",), "/anis"),
        (("summary",), "/anis"),
        (("pause", "2345678901", "2345678902"), "/pause"),
    ],
)
async def test_wrong_base_url_prints_a_hint(
    run_cli: Cli, stub_api: StubAPI, arguments: tuple[str, ...], path: str
) -> None:
    """After a 404 from another server, the full URL is printed once, not for each number."""
    done = await run_cli(*arguments)
    assert f"{stub_api.url}{path}: {HINT}" in done.err
    typed = await run_cli(*arguments, "--base-url", f"{stub_api.url}/v9/")
    assert f"{stub_api.url}/v9{path}: {HINT}" in typed.err
    assert done.code == 1
    assert done.err.count(HINT) == 1
    assert done.err.count("\n") == 1


@pytest.mark.parametrize("arguments", [("anis",), ("pause", "2345678901", "2345678902")])
async def test_base_url_without_nrm_prints_a_hint(
    cli: Cli, sandbox: Sandbox, arguments: tuple[str, ...]
) -> None:
    """A JSON 404 from the right server also prints the hint, because the path is wrong."""
    done = await cli(*arguments, "--base-url", sandbox.root_url)
    assert (done.code, done.err.count(HINT)) == (1, 1)
    assert f"{sandbox.root_url}/{'anis' if arguments == ('anis',) else 'pause'}: " in done.err


async def test_unknown_number_prints_no_hint(
    run_cli: Cli, point_at: PointAt, stub_api: StubAPI
) -> None:
    """A 404 from the API for an unknown number does not suggest a wrong base URL."""
    point_at(stub_api.url, API_KEY)
    stub_api.reply({"success": False, "message": "ANI not found in inventory"}, status=404)
    done = await run_cli("pause", "2345678901")
    assert (done.code, done.err) == (1, "")


async def test_invalid_setting_names_its_variable(
    run_cli: Cli, point_at: PointAt, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The message names the environment variable that contains the invalid value."""
    point_at("foo", API_KEY)
    done = await run_cli("summary")
    assert done.code == 2
    assert done.err.startswith("nrm-async: the base URL (NRM_BASE_URL, --base-url) must ")
    monkeypatch.setenv("NRM_CONCURRENCY", "lots")
    done = await run_cli("summary")
    assert done.code == 2
    assert "'lots' is not a valid whole number." in done.err
    assert "NRM_CONCURRENCY" in done.err


async def test_long_message_does_not_pad_other_lines(
    run_cli: Cli, point_at: PointAt, stub_api: StubAPI
) -> None:
    """Lines in a pipe have no trailing spaces."""
    point_at(stub_api.url, API_KEY)
    stub_api.reply({"success": False, "message": "no " * 60})
    done = await run_cli("pause", "2345678901", "1")
    assert all(row == row.rstrip() for row in done.out.splitlines())


async def test_requests_go_through_the_proxy(
    run_cli: Cli, point_at: PointAt, stub_api: StubAPI, silent_url: str
) -> None:
    """The proxy responds for an unreachable host, and its password is not printed."""
    point_at(silent_url, API_KEY)
    stub_api.reply({"success": False, "message": "no"}, 422)
    proxy = stub_api.url.removesuffix("/nrm").replace("//", "//me:secret-word@")
    done = await run_cli("pause", "2345678901", "--proxy", proxy)
    assert [request.headers["Host"] for request in stub_api.requests] == [
        silent_url.removeprefix("http://").removesuffix("/nrm")
    ]
    assert "Proxy-Authorization" in stub_api.requests[0].headers
    assert (done.code, "rejected" in done.out) == (1, True)
    assert "secret-word" not in done.out + done.err
    wrong = await run_cli("pause", "2345678901", "--proxy", "me:secret-word@x")
    assert (wrong.code, "secret-word" in wrong.err) == (2, False)
