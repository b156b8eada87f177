"""Words of the command where settings or places are wrong, and lines that pipes can take."""

from collections.abc import Callable

import pytest
from aiohttp import web

from nrm_async.sandbox import Sandbox
from tests.cli.conftest import Cli
from tests.conftest import API_KEY, StubAPI

HINT = "is NRM_BASE_URL (or --base-url) right? it usually ends in /nrm"


@pytest.fixture
def elsewhere(environment: Callable[[str, str], None], stub_api: StubAPI) -> None:
    """A server that is not the API."""
    environment(stub_api.url, API_KEY)
    stub_api.answer = lambda request: web.Response(
        status=404, text="<html>Not Found</html>", content_type="text/html"
    )


@pytest.mark.usefixtures("elsewhere")
@pytest.mark.parametrize(
    ("arguments", "path"),
    [
        (("anis",), "/anis"),
        (("summary",), "/anis"),
        (("pause", "2345678901", "2345678902"), "/pause"),
    ],
)
async def test_a_wrong_place_is_hinted_at(
    anywhere: Cli, stub_api: StubAPI, arguments: tuple[str, ...], path: str
) -> None:
    """A page that is not found, and no word of the API: once for all numbers, with the address."""
    done = await anywhere(*arguments)
    assert f"{stub_api.url}{path}: {HINT}" in done.err
    typed = await anywhere(*arguments, "--base-url", f"{stub_api.url}/v9/")
    assert f"{stub_api.url}/v9{path}: {HINT}" in typed.err
    assert done.code == 1
    assert done.err.count(HINT) == 1
    assert done.err.count("\n") == 1


@pytest.mark.parametrize("arguments", [("anis",), ("pause", "2345678901", "2345678902")])
async def test_a_place_beside_the_api_is_a_wrong_one_too(
    cli: Cli, sandbox: Sandbox, arguments: tuple[str, ...]
) -> None:
    """Without the /nrm, the server is right and says in JSON that nothing is there."""
    done = await cli(*arguments, "--base-url", sandbox.root_url)
    assert (done.code, done.err.count(HINT)) == (1, 1)
    assert f"{sandbox.root_url}/{'anis' if arguments == ('anis',) else 'pause'}: " in done.err


async def test_a_number_that_is_not_found_is_no_wrong_place(
    anywhere: Cli, environment: Callable[[str, str], None], stub_api: StubAPI
) -> None:
    """The API may say that with 404 too."""
    environment(stub_api.url, API_KEY)
    stub_api.reply({"success": False, "message": "ANI not found in inventory"}, status=404)
    done = await anywhere("pause", "2345678901")
    assert (done.code, done.err) == (1, "")


async def test_wrong_settings_name_their_variable(
    anywhere: Cli, environment: Callable[[str, str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is wrong is where the user can find it."""
    environment("foo", API_KEY)
    done = await anywhere("summary")
    assert done.code == 2
    assert done.err.startswith("nrm-async: the base URL (NRM_BASE_URL, --base-url) must ")
    monkeypatch.setenv("NRM_CONCURRENCY", "lots")
    done = await anywhere("summary")
    assert done.code == 2
    assert "'lots' is not a valid whole number." in done.err
    assert "NRM_CONCURRENCY" in done.err


async def test_a_long_message_pads_no_other_line(
    anywhere: Cli, environment: Callable[[str, str], None], stub_api: StubAPI
) -> None:
    """Lines in a pipe end where what they say ends."""
    environment(stub_api.url, API_KEY)
    stub_api.reply({"success": False, "message": "no " * 60})
    done = await anywhere("pause", "2345678901", "1")
    assert all(row == row.rstrip() for row in done.out.splitlines())


async def test_a_proxy_is_gone_through(
    anywhere: Cli, environment: Callable[[str, str], None], stub_api: StubAPI, silent_url: str
) -> None:
    """What nobody answers is answered by the proxy; its password is shown nowhere."""
    environment(silent_url, API_KEY)
    stub_api.reply({"success": False, "message": "no"}, 422)
    proxy = stub_api.url.removesuffix("/nrm").replace("//", "//me:secret-word@")
    done = await anywhere("pause", "2345678901", "--proxy", proxy)
    assert [request.headers["Host"] for request in stub_api.requests] == [
        silent_url.removeprefix("http://").removesuffix("/nrm")
    ]
    assert "Proxy-Authorization" in stub_api.requests[0].headers
    assert (done.code, "rejected" in done.out) == (1, True)
    assert "secret-word" not in done.out + done.err
    wrong = await anywhere("pause", "2345678901", "--proxy", "me:secret-word@x")
    assert (wrong.code, "secret-word" in wrong.err) == (2, False)
