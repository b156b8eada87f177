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
from tests.fakes import API_KEY, make_action
from tests.faults.conftest import (
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
    read_and_fail,
    serving,
)
from tests.faults.server import AcceptHook, FaultServer, close_unread, reset_unread, stall

# --- 1, 2, 3: names and connections ----------------------------------------------------------


@pytest.fixture
def unknown_names(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Make the next name look-ups fail; later ones find this machine."""
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


@pytest.mark.fault(1)
@every_kind
async def test_name_does_not_resolve(
    server: FaultServer, unknown_names: Callable[[int], None], kind: str
) -> None:
    """A failed look-up is retried; after the last attempt, nothing was sent."""
    async with connect_to(server, url=f"http://localhost:{server.port}/nrm") as nrm:
        unknown_names(2 * TRIES)
        error = await check_not_sent(nrm, server, kind)
        assert "Name or service not known" in error.message
        unknown_names(TRIES - 1)
        await check_sent_at_last(nrm, server, kind)
        await check_next_call(nrm, server)


@pytest.mark.fault(2)
@every_kind
async def test_connection_refused(
    server: FaultServer, client: NRMClient, on_connect: Callable[[Hook], None], kind: str
) -> None:
    """Nothing was sent while no server listened; a retry reaches one that has started."""
    await server.stop()
    await check_not_sent(client, server, kind)

    async def start_at_last(attempt: int) -> None:
        if attempt == TRIES:
            await server.start()

    on_connect(start_at_last)
    await check_sent_at_last(client, server, kind)
    await check_next_call(client, server)


@pytest.fixture
def full_backlog() -> Iterator[socket.socket]:
    """A listening socket whose backlog is full, so that no further connection is made."""
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


@pytest.mark.fault(3)
@every_kind
async def test_connect_times_out(full_backlog: socket.socket, kind: str) -> None:
    """A connection that is not made in time proves that nothing was sent."""
    server = FaultServer(port=full_backlog.getsockname()[1])
    async with connect_to(server, timeout=Timeouts(attempt=5.0, connect=0.03)) as nrm:
        error = await check_not_sent(nrm, server, kind)
        assert "TimeoutError" in (error.seen or "")


@pytest.mark.fault(3)
async def test_connect_takes_the_whole_attempt(full_backlog: socket.socket) -> None:
    """The time to connect ends before the attempt's, which would prove nothing."""
    server = FaultServer(port=full_backlog.getsockname()[1])
    async with connect_to(server, timeout=0.05) as nrm:
        await check_not_sent(nrm, server, "remediate")


@pytest.mark.fault(3)
@every_kind
async def test_connect_after_timeouts(
    full_backlog: socket.socket, on_connect: Callable[[Hook], None], kind: str
) -> None:
    """After connections that timed out, one that is made in time is used."""
    port = full_backlog.getsockname()[1]

    async with (
        serving() as server,
        connect_to(
            server,
            url=f"http://localhost:{port}/nrm",
            timeout=Timeouts(attempt=5, connect=0.25),
        ) as nrm,
    ):

        async def move(attempt: int) -> None:
            if attempt == TRIES:
                full_backlog.close()
                await server.stop()
                server.port = port
                await server.start()

        on_connect(move)
        await check_sent_at_last(nrm, server, kind)
        await check_next_call(nrm, server)


# --- 4, 5: TLS -------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    """The certificate authority that clients trust."""
    return trustme.CA()


def server_context(authority: trustme.CA, name: str = "127.0.0.1") -> ssl.SSLContext:
    """Return a server's TLS context with a certificate for this name."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(name).configure_cert(context)
    return context


def client_context(authority: trustme.CA) -> ssl.SSLContext:
    """Return a client's TLS context that trusts this authority."""
    context = ssl.create_default_context()
    authority.configure_trust(context)
    return context


@pytest.mark.fault(4)
@pytest.mark.parametrize("how", ["ca_bundle", "ssl_context"])
async def test_certificate_of_a_private_authority(
    authority: trustme.CA, tmp_path: Path, how: str
) -> None:
    """A bundle or a context with the private authority makes its certificates valid."""
    bundle = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(str(bundle))
    given = {"ca_bundle": bundle, "ssl_context": client_context(authority)}[how]
    async with serving(context=server_context(authority)) as server:
        async with connect_to(server, **{how: given}) as nrm:
            await check_next_call(nrm, server)


@pytest.mark.fault(4)
@pytest.mark.parametrize("wrong", ["authority", "host"])
async def test_invalid_certificate(authority: trustme.CA, wrong: str) -> None:
    """Actions and reads are not sent and not retried."""
    name = "elsewhere.example" if wrong == "host" else "127.0.0.1"
    trusted = trustme.CA() if wrong == "authority" else authority
    async with serving(context=server_context(authority, name)) as server:
        async with connect_to(server, ssl_context=client_context(trusted)) as nrm:
            for kind in KINDS:
                error = await act_and_fail(nrm, make_action(kind), Outcome.NOT_APPLIED, 1)
                assert isinstance(error, NotSentError)
                assert error.permanent
                assert "ertificate" in error.message
            read_error = await read_and_fail(nrm, NotSentError)
            check_error(read_error, "GET", "/anis", 1)
            assert server.requests == []
            server.context = server_context(authority)
            if wrong == "host":
                await check_next_call(nrm, server)


@pytest.mark.fault(4)
async def test_invalid_certificate_stops_the_batch(authority: trustme.CA) -> None:
    """Only connections already in progress are made; no other item is started."""
    async with serving(context=server_context(authority)) as server:
        async with connect_to(
            server, ssl_context=client_context(trustme.CA()), max_concurrency=3
        ) as nrm:
            report = await nrm.pause_many([str(2_000_000_000 + n) for n in range(50)])
        assert server.connections <= 3
    assert report.counts[Outcome.NOT_APPLIED] == 50
    stopped = [r for r in report.failed if isinstance(r.error, BatchStoppedError)]
    assert len(stopped) >= 47
    assert all(result.attempts == 0 for result in stopped)
    assert all(API_KEY not in str(result.error) + repr(result) for result in report.failed)


@pytest.mark.fault(4)
def test_verification_cannot_be_disabled() -> None:
    """A context that accepts any certificate, or any host name, is refused."""
    unverified = ssl.create_default_context()
    unverified.check_hostname = False
    for mode in (ssl.CERT_REQUIRED, ssl.CERT_NONE):
        unverified.verify_mode = mode
        with pytest.raises(ConfigurationError, match="must verify certificate and host name"):
            NRMClient(API_KEY, ssl_context=unverified)


@pytest.mark.fault(5)
@pytest.mark.parametrize(
    "hook", [reset_unread, close_unread, stall], ids=["reset", "closed", "hangs"]
)
@every_kind
async def test_handshake_fails(authority: trustme.CA, kind: str, hook: AcceptHook) -> None:
    """Nothing is sent before the handshake has completed, so it is retried."""
    soon = Timeouts(attempt=5.0, connect=0.05 if hook is stall else 4.0)
    async with serving(context=server_context(authority)) as server:
        async with connect_to(server, ssl_context=client_context(authority), timeout=soon) as nrm:
            server.accept_hooks.extend([hook] * TRIES * 2)
            await check_not_sent(nrm, server, kind)
        later = Timeouts(attempt=5.0, connect=0.4 if hook is stall else 4.0)
        async with connect_to(server, ssl_context=client_context(authority), timeout=later) as nrm:
            server.accept_hooks.extend([hook] * (TRIES - 1))
            await check_sent_at_last(nrm, server, kind)
            await check_next_call(nrm, server)
