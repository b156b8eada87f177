"""Rows 1 to 5: no connection."""

import contextlib
import socket
import ssl
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import trustme

from nrm_async import (
    BatchStoppedError,
    ConfigurationError,
    NotSentError,
    NRMClient,
    Outcome,
    Timeouts,
)
from tests.faults.conftest import (
    KEY,
    KINDS,
    TRIES,
    Hook,
    act_and_fail,
    check_error,
    check_next_call,
    check_not_sent,
    check_sent_at_last,
    connect_to,
    every_kind,
    make_action,
    read_and_fail,
    serving,
)
from tests.faults.server import FaultServer, Greeting, ignore, part, slam

# --- 1, 2, 3: no connection ------------------------------------------------------------------


@pytest.fixture
def unknown_names(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Have the next look-ups of names fail; the others find this machine."""
    left = 0

    async def resolve(self: Any, host: str, port: int, *args: Any, **kwargs: Any) -> list[Any]:
        nonlocal left
        if left > 0:
            left -= 1
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return [
            {"hostname": host, "host": "127.0.0.1", "port": port, "proto": 0,
             "family": socket.AF_INET, "flags": socket.AI_NUMERICHOST},
        ]  # fmt: skip

    monkeypatch.setattr(aiohttp.DefaultResolver, "resolve", resolve)

    def fail(times: int) -> None:
        nonlocal left
        left = times

    return fail


@every_kind
async def test_faults_01_the_name_does_not_resolve(
    server: FaultServer, unknown_names: Callable[[int], None], kind: str
) -> None:
    """A look-up that fails is tried again; to the end, nothing was sent."""
    async with connect_to(server, base_url=f"http://localhost:{server.port}/nrm") as nrm:
        unknown_names(2 * TRIES)
        error = await check_not_sent(nrm, server, kind)
        assert "Name or service not known" in error.message
        unknown_names(TRIES - 1)
        await check_sent_at_last(nrm, server, kind)
        await check_next_call(nrm, server)


@every_kind
async def test_faults_02_the_connection_is_refused(
    server: FaultServer, client: NRMClient, on_connect: Callable[[Hook], None], kind: str
) -> None:
    """Where nobody listens, nothing was sent; when somebody does, it is."""
    await server.stop()
    await check_not_sent(client, server, kind)

    async def open_at_last(attempt: int) -> None:
        if attempt == TRIES:
            await server.start()

    on_connect(open_at_last)
    await check_sent_at_last(client, server, kind)
    await check_next_call(client, server)


@pytest.fixture
def full_house() -> Iterator[socket.socket]:
    """A socket that listens, with a line so full that no one else gets into it."""
    with contextlib.ExitStack() as stack:
        listening = stack.enter_context(socket.socket())
        listening.bind(("127.0.0.1", 0))
        listening.listen(0)
        for _ in range(4):
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)
            with contextlib.suppress(BlockingIOError):
                waiting.connect(listening.getsockname())
        yield listening


@every_kind
async def test_faults_03_connecting_times_out(full_house: socket.socket, kind: str) -> None:
    """A connection that does not come about in time is proof that nothing was sent."""
    server = FaultServer(port=full_house.getsockname()[1])
    async with connect_to(server, timeout=Timeouts(attempt=5.0, connect=0.03)) as nrm:
        error = await check_not_sent(nrm, server, kind)
        assert "TimeoutError" in (error.seen or "")


async def test_faults_03_connecting_takes_the_whole_attempt(full_house: socket.socket) -> None:
    """The time for connecting ends before that of the attempt, which would prove nothing."""
    server = FaultServer(port=full_house.getsockname()[1])
    async with connect_to(server, timeout=0.05) as nrm:
        await check_not_sent(nrm, server, "remediate")


@every_kind
async def test_faults_03_and_then_it_connects(
    full_house: socket.socket, on_connect: Callable[[Hook], None], kind: str
) -> None:
    """After connections that timed out, one that does not is used."""
    port = full_house.getsockname()[1]

    async with (
        serving() as server,
        connect_to(
            server,
            base_url=f"http://localhost:{port}/nrm",
            timeout=Timeouts(attempt=5, connect=0.03),
        ) as nrm,
    ):

        async def move(attempt: int) -> None:
            if attempt == TRIES:
                full_house.close()
                await server.stop()
                server.port = port
                await server.start()

        on_connect(move)
        await check_sent_at_last(nrm, server, kind)
        await check_next_call(nrm, server)


# --- 4, 5: TLS -------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    """Who the tests trust."""
    return trustme.CA()


def tls_of(authority: trustme.CA, name: str = "127.0.0.1") -> ssl.SSLContext:
    """What a server with a certificate for this name shows."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(name).configure_cert(context)
    return context


def trust_in(authority: trustme.CA) -> ssl.SSLContext:
    """What a client verifies with."""
    context = ssl.create_default_context()
    authority.configure_trust(context)
    return context


@pytest.mark.parametrize("how", ["ca_bundle", "ssl_context"])
async def test_faults_04_a_certificate_of_ones_own_authority(
    authority: trustme.CA, tmp_path: Path, how: str
) -> None:
    """A bundle or a context with the right authority is what it takes."""
    bundle = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(str(bundle))
    given = {"ca_bundle": bundle, "ssl_context": trust_in(authority)}[how]
    async with serving(context=tls_of(authority)) as server:
        async with connect_to(server, **{how: given}) as nrm:
            await check_next_call(nrm, server)


@pytest.mark.parametrize("wrong", ["authority", "host"])
async def test_faults_04_the_certificate_is_invalid(authority: trustme.CA, wrong: str) -> None:
    """Not sent, not tried again, for an action and a read alike."""
    name = "elsewhere.example" if wrong == "host" else "127.0.0.1"
    trusted = trustme.CA() if wrong == "authority" else authority
    async with serving(context=tls_of(authority, name)) as server:
        async with connect_to(server, ssl_context=trust_in(trusted)) as nrm:
            for kind in KINDS:
                error = await act_and_fail(nrm, make_action(kind), Outcome.NOT_APPLIED, 1)
                assert isinstance(error, NotSentError)
                assert error.permanent
                assert "ertificate" in error.message
            read_error = await read_and_fail(nrm, NotSentError)
            check_error(read_error, "GET", "/anis", 1)
            assert server.requests == []
            server.context = tls_of(authority)
            if wrong == "host":
                await check_next_call(nrm, server)


async def test_faults_04_an_invalid_certificate_stops_the_batch(authority: trustme.CA) -> None:
    """No more connections than were under way; the rest was not begun."""
    async with serving(context=tls_of(authority)) as server:
        async with connect_to(server, ssl_context=trust_in(trustme.CA()), max_concurrency=3) as nrm:
            report = await nrm.pause_many([str(2_000_000_000 + n) for n in range(50)])
        assert server.connections <= 3
    assert report.counts[Outcome.NOT_APPLIED] == 50
    stopped = [r for r in report.failed if isinstance(r.error, BatchStoppedError)]
    assert len(stopped) >= 47
    assert all(result.attempts == 0 for result in stopped)
    assert all(KEY not in str(result.error) + repr(result) for result in report.failed)


def test_faults_04_verification_cannot_be_switched_off() -> None:
    """A context that would take any certificate, or any host, is refused."""
    blind = ssl.create_default_context()
    blind.check_hostname = False
    for mode in (ssl.CERT_REQUIRED, ssl.CERT_NONE):
        blind.verify_mode = mode
        with pytest.raises(ConfigurationError, match="must verify certificate and host name"):
            NRMClient(KEY, ssl_context=blind)


@pytest.mark.parametrize("greeting", [slam, part, ignore], ids=["reset", "closed", "hangs"])
@every_kind
async def test_faults_05_the_handshake_fails(
    authority: trustme.CA, kind: str, greeting: Greeting
) -> None:
    """Nothing is sent before the handshake is done; it is tried again."""
    soon = Timeouts(attempt=5.0, connect=0.05 if greeting is ignore else 4.0)
    async with serving(context=tls_of(authority)) as server:
        async with connect_to(server, ssl_context=trust_in(authority), timeout=soon) as nrm:
            server.greetings.extend([greeting] * TRIES * 2)
            await check_not_sent(nrm, server, kind)
        later = Timeouts(attempt=5.0, connect=0.2 if greeting is ignore else 4.0)
        async with connect_to(server, ssl_context=trust_in(authority), timeout=later) as nrm:
            server.greetings.extend([greeting] * (TRIES - 1))
            await check_sent_at_last(nrm, server, kind)
            await check_next_call(nrm, server)
