"""Recorders and wrapped sessions: a call works, or nothing was sent and the error says so."""

import copy
import importlib
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from nrm_async import NotSentError, NRMClient, Outcome, OutcomeUnknownError, RetryPolicy
from tests.conftest import API_KEY, StubAPI
from tests.transport.conftest import ANI, PAUSED

# A recorder that refuses what is not on its cassette, as vcrpy does, with its module names.
RECORDER = """
import copy, functools

class CannotOverwriteExistingCassetteException(Exception):
    __module__ = "vcr.errors"

def patch(real_request, is_recorded):
    @functools.wraps(real_request)
    async def new_request(self, method, url, **kwargs):
        copy.deepcopy(kwargs["headers"])
        if not is_recorded(kwargs):
            raise CannotOverwriteExistingCassetteException("not on the cassette")
        return await real_request(self, method, url, **kwargs)
    return new_request
"""


def record(
    monkeypatch: pytest.MonkeyPatch, is_recorded: Callable[[dict[str, Any]], bool], name: str
) -> None:
    """Patch sessions as the recorder of this module name does."""
    module: dict[str, Any] = {"__name__": name}
    exec(RECORDER, module)  # the function's module is what is looked at
    patched = module["patch"](aiohttp.ClientSession._request, is_recorded)
    monkeypatch.setattr(aiohttp.ClientSession, "_request", patched)


async def test_request_that_a_recorder_refuses_was_not_sent(
    stub_api: StubAPI, paths: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """One attempt, a NotSentError that says why, and NOT_APPLIED in a batch."""
    record(monkeypatch, lambda _: False, "vcr.stubs.aiohttp_stubs")
    async with NRMClient(API_KEY, base_url=stub_api.url) as nrm:
        with pytest.raises(NotSentError, match="not on the cassette") as caught:
            await nrm.pause(ANI)
        assert (caught.value.permanent, caught.value.attempts) == (True, 1)
        report = await nrm.pause_many([ANI])
    assert report[0].outcome is Outcome.NOT_APPLIED
    assert not stub_api.requests
    assert API_KEY not in str(caught.value)
    assert set(paths) == {"SessionPath"}


async def test_recorder_passes_requests_on(
    stub_api: StubAPI, paths: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A request that it sends is applied; the secret headers can be copied, not pickled."""
    seen: list[dict[str, Any]] = []

    def note(kwargs: dict[str, Any]) -> bool:
        seen.append(kwargs)
        return True

    record(monkeypatch, note, "vcr.stubs.aiohttp_stubs")
    stub_api.reply(PAUSED)
    async with NRMClient(API_KEY, base_url=stub_api.url) as nrm:
        assert (await nrm.pause(ANI)).ani == ANI
    headers = seen[0]["headers"]
    assert copy.deepcopy(headers)["Authorization"] == f"Bearer {API_KEY}"
    assert API_KEY.encode() not in pickle.dumps(headers)
    assert stub_api.requests[0].headers["Authorization"] == f"Bearer {API_KEY}"
    assert paths == ["SessionPath"]


async def test_answer_that_a_recorder_loses_is_unknown(
    stub_api: StubAPI, paths: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What it sent was sent, whatever it raises afterwards."""
    record(monkeypatch, lambda _: True, "vcr.stubs.aiohttp_stubs")
    inner: Any = aiohttp.ClientResponse.start

    async def fail(self: Any, connection: Any) -> Any:
        await inner(self, connection)
        raise LookupError("the cassette is full")

    monkeypatch.setattr(aiohttp.ClientResponse, "start", fail)
    stub_api.reply(PAUSED)
    async with NRMClient(API_KEY, base_url=stub_api.url, on_unknown="report") as nrm:
        with pytest.raises(OutcomeUnknownError, match="the cassette is full"):
            await nrm.pause(ANI)
    assert len(stub_api.requests) == 1
    assert paths


async def test_error_of_an_unknown_patch_proves_nothing(
    stub_api: StubAPI, paths: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may have sent the request by other means, or stand for a network that lost the answer."""
    record(monkeypatch, lambda _: False, "somebody.elses")
    async with NRMClient(API_KEY, base_url=stub_api.url, on_unknown="report") as nrm:
        with pytest.raises(OutcomeUnknownError):
            await nrm.pause(ANI)
    assert paths == ["SessionPath"]


@pytest.mark.parametrize("is_lent", [True, False])
async def test_trace_that_raises_before_sending(
    stub_api: StubAPI, paths: list[str], monkeypatch: pytest.MonkeyPatch, is_lent: bool
) -> None:
    """aiohttp never came to send: the action is not applied, on a lent session too."""

    async def fail(*_: object) -> None:
        raise LookupError("no such span")

    tracing = aiohttp.TraceConfig()
    tracing.on_request_start.append(fail)
    make = aiohttp.ClientSession.__init__

    def traced(self: aiohttp.ClientSession, *args: Any, **kwargs: Any) -> None:
        make(self, *args, **(kwargs | {"trace_configs": [tracing]}))

    monkeypatch.setattr(aiohttp.ClientSession, "__init__", traced)
    async with aiohttp.ClientSession() as session:
        lent = session if is_lent else None
        retry = RetryPolicy(max_retries=0)
        async with NRMClient(API_KEY, base_url=stub_api.url, retry=retry, session=lent) as nrm:
            with pytest.raises(NotSentError, match="no such span"):
                await nrm.pause(ANI)
    assert not stub_api.requests
    assert paths == ["SessionPath"]


ORIGINAL: Any = aiohttp.ClientSession._request


async def older(
    self: aiohttp.ClientSession,
    method: str,
    str_or_url: str,
    *,
    params: Any = None,
    data: Any = None,
    headers: Any = None,
    timeout: Any = None,  # noqa: ASYNC109 - aiohttp's name
    proxy: Any = None,
    allow_redirects: bool = True,
    raise_for_status: Any = None,
) -> Any:
    """A wrapper with the arguments of an older aiohttp."""
    given = {"params": params, "data": data, "headers": headers, "timeout": timeout}
    more = {"allow_redirects": allow_redirects, "raise_for_status": raise_for_status}
    return await ORIGINAL(self, method, str_or_url, proxy=proxy, **given, **more)


async def narrow(
    self: aiohttp.ClientSession, method: str, url: str, headers: Any = None, data: Any = None
) -> Any:
    """A wrapper that cannot be told to leave redirects alone."""
    return await ORIGINAL(self, method, url, headers=headers, data=data)


async def test_wrapper_with_an_older_signature_is_used(
    stub_api: StubAPI, paths: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What it does not know and need not know is left out."""
    monkeypatch.setattr(aiohttp.ClientSession, "_request", older)
    stub_api.reply(PAUSED)
    async with aiohttp.ClientSession() as session:
        async with NRMClient(API_KEY, base_url=stub_api.url, session=session) as nrm:
            assert (await nrm.pause(ANI)).ani == ANI
            stub_api.reply({"data": []})
            await nrm.list_anis()
    assert set(paths) == {"SessionPath"}


async def test_wrapper_that_cannot_be_used_fails_before_sending(
    stub_api: StubAPI, paths: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The error names what it does not take."""
    monkeypatch.setattr(aiohttp.ClientSession, "_request", narrow)
    async with NRMClient(API_KEY, base_url=stub_api.url) as nrm:
        with pytest.raises(NotSentError, match=r"does not take .*allow_redirects") as caught:
            await nrm.pause(ANI)
    assert caught.value.permanent
    assert not stub_api.requests
    assert paths == ["SessionPath"]


async def test_vcrpy(stub_api: StubAPI, paths: list[str], tmp_path: Path) -> None:
    """A pause is recorded and replayed; another is not sent; the key is not on the cassette."""
    pytest.importorskip("vcr", reason="vcrpy is not installed")
    vcr: Any = importlib.import_module("vcr")
    cassette = tmp_path / "cassette.yaml"
    recorder = vcr.VCR(filter_headers=["authorization"])
    stub_api.reply(PAUSED)
    for mode in ("once", "none"):
        with recorder.use_cassette(str(cassette), record_mode=mode):
            async with NRMClient(API_KEY, base_url=stub_api.url) as nrm:
                assert (await nrm.pause(ANI)).ani == ANI
        assert len(stub_api.requests) == 1
    assert API_KEY not in cassette.read_text()
    with recorder.use_cassette(str(cassette), record_mode="none"):
        async with NRMClient(API_KEY, base_url=stub_api.url) as nrm:
            with pytest.raises(NotSentError):
                await nrm.remediate(ANI)
    assert len(stub_api.requests) == 1
    assert set(paths) == {"SessionPath"}
