"""The pytest plugin, in runs of pytest as its users have them: no settings of ours, warnings fatal.

Each run is a process of its own, in a folder of its own.
"""

import os
import subprocess
import sys
from pathlib import Path

import attrs
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


@attrs.frozen
class Ran:
    code: int
    said: str


def run(folder: Path, code: str, *options: str) -> Ran:
    (folder / "test_users.py").write_text(code)
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith(("NRM", "OUTB"))
    }
    done = subprocess.run(
        [sys.executable, "-W", "error", "-m", "pytest", "-q", "-p", "no:cacheprovider", *options],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    return Ran(done.returncode, done.stdout + done.stderr)


# Without plugins that only our own suite brings along.
WITHOUT = ("-p", "no:schemathesis", "-p", "no:looptime_plugin")
SCOPE = ("-o", "asyncio_default_fixture_loop_scope=function")  # pytest-asyncio warns without it
PLAIN = (*WITHOUT, *SCOPE)
FIXTURE = "@pytest.fixture"
ON_ASYNCIO = """
@pytest.fixture
def anyio_backend():
    return "asyncio"
"""
MODES = {
    "pytest-asyncio in auto mode": (
        "",
        "",
        FIXTURE,
        ("-p", "no:anyio", *SCOPE, "-o", "asyncio_mode=auto"),
    ),
    "pytest-asyncio in strict mode": ("@pytest.mark.asyncio", "", "@pytest_asyncio.fixture", SCOPE),
    "anyio's plugin": ("@pytest.mark.anyio", ON_ASYNCIO, FIXTURE, ("-p", "no:asyncio")),
}


@pytest.mark.parametrize("mode", MODES)
def test_the_fixtures_work_in(mode: str, tmp_path: Path) -> None:
    """Opened, used, broken off and closed without a warning; the environment is put back."""
    mark, fixtures, fixture, options = MODES[mode]
    code = USES.format(mark=mark, fixtures=fixtures, fixture=fixture)
    ran = run(tmp_path, code, *WITHOUT, *options)
    assert f"{PASSED} passed" in ran.said, ran.said
    assert ran.code == 0


def test_they_work_beside_every_plugin_of_this_suite(tmp_path: Path) -> None:
    """Hypothesis, looptime, schemathesis and strict markers do not mind, nor are they minded."""
    options = (*SCOPE, "-o", "asyncio_mode=auto", "--strict-markers")
    ran = run(tmp_path, USES.format(mark="", fixtures="", fixture=FIXTURE), *options)
    assert f"{PASSED} passed" in ran.said, ran.said


WRONG = """
import pytest

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


def test_what_is_wrong_is_told_in_one_line(tmp_path: Path) -> None:
    """A marker: the rule that is broken, and by which test. An assertion: what happened."""
    ran = run(tmp_path, WRONG, *PLAIN)
    assert ran.code == 1
    for words in (
        "test_a_wrong_value: anis must be a whole number of at least 0, not -1",
        "test_an_unknown_fault: unknown fault 'teapot': known are latency, rate-cap",
        "test_an_unknown_name: Sandbox.__init__() got an unexpected keyword argument 'numbers'",
        "the marker nrm takes keyword arguments only",
        "was not applied: it was applied never; nobody asked for it (0 requests came in all)",
    ):
        assert words in ran.said, ran.said


def test_the_plugin_is_light_and_can_be_left_out(tmp_path: Path) -> None:
    """A run that asks for no fixture loads no server; one that wants no plugin has none."""
    code = """
import sys

def test_it(request):
    assert "nrm_async.sandbox" not in sys.modules
    assert "aiohttp.web" not in sys.modules
"""
    assert run(tmp_path, code, *PLAIN).code == 0
    ran = run(tmp_path, "def test_it(nrm_sandbox): ...", *PLAIN, "-p", "no:nrm_async")
    assert "fixture 'nrm_sandbox' not found" in ran.said
