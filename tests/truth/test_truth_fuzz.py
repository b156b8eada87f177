"""Thousands of actions through faults drawn from a seed; every label is held against the books.

``NRM_FUZZ_SEED`` replays a run; the seed is part of every failure.
"""

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
from nrm_async._wire import Request
from nrm_async.models import ACTIVE
from nrm_async.sandbox import Sandbox
from nrm_async.sandbox.values import ActionName
from tests.truth.conftest import (
    Fate,
    World,
    audit,
    make_action,
    numbers,
    on_virtual_time,
    open_client,
)

KINDS: tuple[ActionName, ...] = ("pause", "activate", "remediate")
SEED = int(os.environ.get("NRM_FUZZ_SEED", "0")) or random.SystemRandom().randrange(1, 2**32)


def make_world(dice: random.Random, count: int, fault_rate: float) -> World:
    faults = [fate for fate in Fate if fate is not Fate.NORMAL]
    active = {ani: dice.random() < 0.6 for ani in numbers(count) if dice.random() < 0.95}

    def fate(request: Request) -> Fate:
        return dice.choice(faults) if dice.random() < fault_rate else Fate.NORMAL

    return World(active, fate, patience=lambda: dice.randrange(1, 5))


def make_actions(dice: random.Random, world: World, anis: list[str], count: int) -> list[Action]:
    """Mostly what the API would take, some that it would not, and some numbers again."""
    actions = []
    for index in range(count):
        ani = anis[index] if index < len(anis) else dice.choice(anis)
        fitting = "pause" if world.active.get(ani) else "activate"
        kind = dice.choice(KINDS) if dice.random() < 0.5 else fitting
        actions.append(make_action(kind, ani, index))
    return actions


async def carry_out(
    world: World, actions: list[Action], *, streamed: bool, **settings: Any
) -> list[CallResult]:
    async with open_client(world, max_concurrency=32, **settings) as nrm:
        if not streamed:
            return list(await nrm.run_batch(actions))
        async with nrm.stream_batch(actions) as results:
            return [result async for result in results]


def check(seed: int, count: int, fault_rate: float, *, streamed: bool) -> set[Outcome]:
    dice = random.Random(seed)
    anis = numbers(int(count * 0.7))
    world = make_world(dice, len(anis), fault_rate)
    actions = make_actions(dice, world, anis, count)
    retry = RetryPolicy(base=0, max_retries=dice.randrange(1, 5))
    results = on_virtual_time(carry_out(world, actions, streamed=streamed, retry=retry))
    wrong = audit(world, results)
    assert not wrong, f"NRM_FUZZ_SEED={seed}: {len(wrong)} wrong, such as {wrong[:3]}"
    assert sorted(result.index for result in results) == list(range(count)), seed
    return {result.outcome for result in results}


@pytest.mark.parametrize("fault_rate", [0.05, 0.2, 0.4, 0.6, 0.8])
def test_no_label_of_20_000_contradicts_the_books(fault_rate: float) -> None:
    """4,000 actions at each rate, in batches and streams: nothing is said that the books deny."""
    outcomes = set[Outcome]()
    for part in range(8):
        outcomes |= check(SEED + part, 500, fault_rate, streamed=part % 2 == 1)
    assert outcomes >= set(Outcome) - {Outcome.NOT_APPLIED}, SEED


@pytest.mark.soak
@pytest.mark.parametrize("fault_rate", [0.1, 0.5, 0.7])
def test_no_label_of_a_long_run_contradicts_the_books(fault_rate: float) -> None:
    """The same in batches of 20,000, each by one client on as many numbers as it remembers."""
    for part in range(4):
        check(SEED + part, 20_000, fault_rate, streamed=part % 2 == 1)


# --- over real sockets ---------------------------------------------------------------------


@attrs.define
class Proxy:
    """Stands before a server and resets connections: before it passes a request on, or after."""

    port: int
    dice: random.Random
    fault_rate: float
    resets: int = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                await self._pass_on(reader, writer)
        writer.transport.abort()

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        request = await _message(reader)
        luck = self.dice.random()
        if luck < self.fault_rate / 2:
            self._reset(writer)
        there, back = await asyncio.open_connection("127.0.0.1", self.port)
        back.write(request)
        answer = await _message(there)
        back.close()
        await back.wait_closed()
        if luck < self.fault_rate:
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
async def standing_before(url: str, proxy: Proxy) -> AsyncIterator[str]:
    server = await asyncio.start_server(proxy.serve, "127.0.0.1", 0)
    async with server:
        yield url.replace(str(proxy.port), str(server.sockets[0].getsockname()[1]))
    others = asyncio.all_tasks() - {asyncio.current_task()}
    for task in others:
        if "Proxy.serve" in repr(task):
            await asyncio.wait([task])


async def test_no_label_contradicts_the_books_over_real_sockets() -> None:
    """A third of all connections is reset, half of them after the action was applied."""
    dice = random.Random(SEED)
    async with Sandbox(anis=300, seed=SEED) as sandbox:
        kinds = {ani: dice.choice(KINDS) for ani in sandbox.phones}
        was_active = {ani: sandbox.state.row(ani)["status"] == ACTIVE for ani in kinds}
        port = int(sandbox.url.split(":")[2].split("/")[0])
        proxy = Proxy(port, dice, 0.3)
        async with standing_before(sandbox.url, proxy) as url:
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
            was_so = kind != "remediate" and was_active[result.ani] is (kind == "activate")
            assert times <= 1, (SEED, result)
            match result.outcome:
                case Outcome.APPLIED:
                    assert times, (SEED, result)
                case Outcome.CONFIRMED:
                    assert times or was_so, (SEED, result)
                case Outcome.REJECTED | Outcome.NOT_APPLIED:
                    assert not times, (SEED, result)
