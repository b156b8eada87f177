"""Thousands of actions with random faults: no outcome contradicts the API's records."""

import asyncio
import contextlib
import os
import random
import re
from collections.abc import AsyncIterator
from typing import Any

import attrs
import pytest

from nrm_async import Action, CallResult, ConfirmPolicy, NRMClient, Outcome, RetryPolicy
from nrm_async.models import ACTIVE
from nrm_async.sandbox import Sandbox
from nrm_async.sandbox.values import ActionName
from nrm_async.testing import Request
from tests.actions.audit import audit
from tests.fakes import FakeAPI, Fate, make_action, numbers, on_virtual_time, open_client

KINDS: tuple[ActionName, ...] = ("pause", "activate", "remediate")
SEED = int(os.environ.get("NRM_FUZZ_SEED", "0")) or random.SystemRandom().randrange(1, 2**32)


def make_api(rng: random.Random, count: int, fault_rate: float) -> FakeAPI:
    faults = [fate for fate in Fate if fate is not Fate.NORMAL]
    active = {ani: rng.random() < 0.6 for ani in numbers(count) if rng.random() < 0.95}

    def fate(request: Request) -> Fate:
        return rng.choice(faults) if rng.random() < fault_rate else Fate.NORMAL

    return FakeAPI(active, fate, patience=lambda: rng.randrange(1, 5))


def make_actions(rng: random.Random, api: FakeAPI, anis: list[str], count: int) -> list[Action]:
    """Return mostly actions that the API accepts, some that it refuses, and repeated numbers."""
    actions = []
    for index in range(count):
        ani = anis[index] if index < len(anis) else rng.choice(anis)
        fitting = "pause" if api.active.get(ani) else "activate"
        kind = rng.choice(KINDS) if rng.random() < 0.5 else fitting
        actions.append(make_action(kind, ani, index))
    return actions


async def run(
    api: FakeAPI, actions: list[Action], *, streamed: bool, **settings: Any
) -> list[CallResult]:
    async with open_client(api, max_concurrency=32, **settings) as nrm:
        if not streamed:
            return list(await nrm.run_batch(actions))
        async with nrm.stream_batch(actions) as results:
            return [result async for result in results]


def check(seed: int, count: int, fault_rate: float, *, streamed: bool) -> set[Outcome]:
    rng = random.Random(seed)
    anis = numbers(int(count * 0.7))
    api = make_api(rng, len(anis), fault_rate)
    actions = make_actions(rng, api, anis, count)
    retry = RetryPolicy(base=0, max_retries=rng.randrange(1, 5))
    results = on_virtual_time(run(api, actions, streamed=streamed, retry=retry))
    wrong = audit(api, results)
    assert not wrong, f"NRM_FUZZ_SEED={seed}: {len(wrong)} wrong, such as {wrong[:3]}"
    assert sorted(result.index for result in results) == list(range(count)), seed
    return {result.outcome for result in results}


@pytest.mark.parametrize("fault_rate", [0.05, 0.2, 0.4, 0.6, 0.8])
def test_no_outcome_of_20_000_contradicts_the_api(fault_rate: float) -> None:
    """4,000 actions at each rate of faults, in batches and streams."""
    outcomes = set[Outcome]()
    for part in range(8):
        outcomes |= check(SEED + part, 500, fault_rate, streamed=part % 2 == 1)
    assert outcomes >= set(Outcome) - {Outcome.NOT_APPLIED}, SEED


@pytest.mark.soak
@pytest.mark.parametrize("fault_rate", [0.1, 0.5, 0.7])
def test_no_outcome_of_a_long_run_contradicts_the_api(fault_rate: float) -> None:
    """Batches of 20,000 by one client, for as many numbers as it remembers."""
    for part in range(4):
        check(SEED + part, 20_000, fault_rate, streamed=part % 2 == 1)


# --- over real sockets ---------------------------------------------------------------------


@attrs.define
class ResettingProxy:
    """Resets connections to a server, before or after it passes a request on."""

    port: int
    rng: random.Random
    fault_rate: float
    resets: int = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                await self._pass_on(reader, writer)
        writer.transport.abort()

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        request = await _message(reader)
        draw = self.rng.random()
        if draw < self.fault_rate / 2:
            self._reset(writer)
        there, back = await asyncio.open_connection("127.0.0.1", self.port)
        back.write(request)
        answer = await _message(there)
        back.close()
        await back.wait_closed()
        if draw < self.fault_rate:
            self._reset(writer)
        writer.write(answer)
        await writer.drain()

    def _reset(self, writer: asyncio.StreamWriter) -> None:
        self.resets += 1
        writer.transport.abort()
        raise ConnectionResetError


async def _message(reader: asyncio.StreamReader) -> bytes:
    head = await reader.readuntil(b"\r\n\r\n")
    length = re.search(rb"content-length: *(\d+)", head, re.IGNORECASE)
    return head + await reader.readexactly(int(length[1]) if length else 0)


@contextlib.asynccontextmanager
async def proxied(url: str, proxy: ResettingProxy) -> AsyncIterator[str]:
    """Serve the proxy in front of this URL, and return its own URL."""
    server = await asyncio.start_server(proxy.serve, "127.0.0.1", 0)
    async with server:
        yield url.replace(str(proxy.port), str(server.sockets[0].getsockname()[1]))
    others = asyncio.all_tasks() - {asyncio.current_task()}
    for task in others:
        if "ResettingProxy.serve" in repr(task):
            await asyncio.wait([task])


async def test_no_outcome_contradicts_the_sandbox_over_sockets() -> None:
    """A third of all connections is reset, half of them after the action was applied."""
    rng = random.Random(SEED)
    async with Sandbox(anis=300, seed=SEED) as sandbox:
        kinds = {ani: rng.choice(KINDS) for ani in sandbox.phones}
        was_active = {ani: sandbox.state.row(ani)["status"] == ACTIVE for ani in kinds}
        port = int(sandbox.url.split(":")[2].split("/")[0])
        proxy = ResettingProxy(port, rng, 0.3)
        async with proxied(sandbox.url, proxy) as url:
            async with NRMClient(
                sandbox.api_key, base_url=url, confirm=ConfirmPolicy(settle=0, reads=2)
            ) as nrm:
                report = await nrm.run_batch(
                    make_action(kind, ani, "") for ani, kind in kinds.items()
                )
        assert proxy.resets > 50
        for result in report:
            kind = kinds[result.ani]
            times = sandbox.books.times_applied(kind, result.ani)
            was_already = kind != "remediate" and was_active[result.ani] is (kind == "activate")
            assert times <= 1, (SEED, result)
            match result.outcome:
                case Outcome.APPLIED:
                    assert times, (SEED, result)
                case Outcome.CONFIRMED:
                    assert times or was_already, (SEED, result)
                case Outcome.REJECTED | Outcome.NOT_APPLIED:
                    assert not times, (SEED, result)
