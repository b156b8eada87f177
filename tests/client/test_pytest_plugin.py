"""The pytest plugin in separate runs of pytest, with warnings as errors."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

USES = """
import os
import pytest
import pytest_asyncio
from nrm_async import NRMClient, RejectedError

{fixtures}
{mark}
async def test_a_client_of_a_sandbox(nrm_sandbox, nrm_client):
    assert len(await nrm_client.inventory()) == 500
    ani = next(ani for ani in await nrm_client.inventory() if ani.is_active)
    await nrm_client.pause(ani)
    nrm_sandbox.assert_applied("pause", ani, times=1)
    with pytest.raises(RejectedError):
        await nrm_client.pause(ani)

@pytest.mark.nrm(
    anis=20, seed=3, faults=["429:count=3,retry_after=0"], client={{"max_concurrency": 2}}
)
{mark}
async def test_the_marker(nrm_sandbox, nrm_client):
    report = await nrm_client.remediate_many(nrm_sandbox.phones)
    assert report.ok and len(report) == 20
    nrm_sandbox.assert_requests("remediate", status=429, times=3)
    nrm_sandbox.assert_max_in_flight(2)

{mark}
async def test_a_client_that_fails_is_closed_too(nrm_client):
    async for ani in nrm_client.anis(page_size=10):
        break  # pages are being fetched ahead

{mark}
async def test_code_that_makes_its_own_client(nrm_sandbox):
    async with NRMClient() as nrm:
        assert (await nrm.list_anis(page_size=1)).total_anis == 500
    nrm_sandbox.assert_requests("anis", times=1)

@pytest.fixture
def seen(nrm_sandbox):
    return nrm_sandbox

{mark}
async def test_fixtures_on_top(seen, nrm_client):
    await nrm_client.find_ani(seen.phones[0])
    seen.assert_requests(times=1)

{fixture}
async def service(nrm_client):
    yield nrm_client
    assert len(await nrm_client.inventory()) == 500

{mark}
async def test_a_client_outlives_the_fixtures_that_use_it(service):
    await service.list_anis()

@pytest.mark.nrm(anis=3)
class TestInAClass:
    {mark}
    async def test_takes_the_marker_of_the_class(self, nrm_sandbox):
        assert len(nrm_sandbox) == 3

    @pytest.mark.nrm(seed=2)
    {mark}
    async def test_adds_its_own(self, nrm_sandbox):
        assert (len(nrm_sandbox), nrm_sandbox.founding.seed) == (3, 2)

def test_without_a_loop(nrm_sandbox, nrm_client):
    assert nrm_client.state.value == "unopened"
    assert os.environ["NRM_BASE_URL"] == nrm_sandbox.url

def test_the_environment_is_as_it_was():
    assert "NRM_BASE_URL" not in os.environ
"""
PASSED = 10


def run(folder: Path, code: str, *options: str) -> subprocess.CompletedProcess[str]:
    """Run pytest on this module, in a folder and process of its own."""
    (folder / "test_users.py").write_text(code)
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith(("NRM", "OUTB"))
    }
    return subprocess.run(
        [sys.executable, "-W", "error", "-m", "pytest", "-q", "-p", "no:cacheprovider", *options],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


# Without plugins that only this project's own suite needs: they take seconds to load.
USERS = ("-p", "no:schemathesis", "-p", "no:looptime_plugin", "-p", "no:hypothesispytest")
SCOPE = ("-o", "asyncio_default_fixture_loop_scope=function")  # pytest-asyncio warns without it
AUTO = (*SCOPE, "-o", "asyncio_mode=auto")
FIXTURE = "@pytest.fixture"
ON_ASYNCIO = """
@pytest.fixture
def anyio_backend():
    return "asyncio"
"""
MODES = {
    "auto mode, beside every plugin of this suite": ("", "", FIXTURE, (*AUTO, "--strict-markers")),
    "strict mode": ("@pytest.mark.asyncio", "", "@pytest_asyncio.fixture", (*USERS, *SCOPE)),
    "anyio's plugin": ("@pytest.mark.anyio", ON_ASYNCIO, FIXTURE, (*USERS, "-p", "no:asyncio")),
}


@pytest.mark.parametrize("mode", MODES)
def test_fixtures(mode: str, tmp_path: Path) -> None:
    """They are opened, used and closed without a warning, and the environment is restored."""
    mark, fixtures, fixture, options = MODES[mode]
    done = run(tmp_path, USES.format(mark=mark, fixtures=fixtures, fixture=fixture), *options)
    assert f"{PASSED} passed" in done.stdout, done.stdout + done.stderr
    assert done.returncode == 0


MISTAKES = """
import sys
import pytest

def test_nothing_is_loaded_without_fixtures(request):
    assert "nrm_async.sandbox" not in sys.modules
    assert "aiohttp.web" not in sys.modules

@pytest.mark.nrm(anis=-1)
def test_a_wrong_value(nrm_sandbox): ...

@pytest.mark.nrm(faults=["teapot"])
def test_an_unknown_fault(nrm_sandbox): ...

@pytest.mark.nrm(numbers=5)
def test_an_unknown_name(nrm_sandbox): ...

@pytest.mark.nrm(5)
def test_a_bare_value(nrm_sandbox): ...

def test_an_action_that_did_not_happen(nrm_sandbox):
    nrm_sandbox.assert_applied("pause", nrm_sandbox.phones[0])
"""


def test_mistakes(tmp_path: Path) -> None:
    """A wrong marker names its test and the rule; a test without fixtures loads no server."""
    done = run(tmp_path, MISTAKES, *USERS, *SCOPE)
    assert done.returncode == 1
    for words in (
        "test_a_wrong_value: anis must be a whole number of at least 0, not -1",
        "test_an_unknown_fault: unknown fault 'teapot': known are latency, rate-cap",
        "test_an_unknown_name: Sandbox.__init__() got an unexpected keyword argument 'numbers'",
        "the marker nrm takes keyword arguments only",
        "was not applied; no such request arrived (0 requests in all)",
        "1 failed, 1 passed, 4 errors",
    ):
        assert words in done.stdout, done.stdout + done.stderr


def test_plugin_can_be_left_out(tmp_path: Path) -> None:
    """With ``-p no:nrm_async`` there are no fixtures."""
    options = (*USERS, "-p", "no:nrm_async", "-p", "no:anyio", "-p", "no:asyncio")
    done = run(tmp_path, "def test_it(nrm_sandbox): ...", *options)
    assert "fixture 'nrm_sandbox' not found" in done.stdout
