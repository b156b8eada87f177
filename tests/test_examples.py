"""The examples in the README and in docstrings run as they stand, against a sandbox."""

import ast
import asyncio
import doctest
import importlib
import inspect
import json
import os
import pkgutil
import re
import shutil
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest

import nrm_async
from nrm_async import NRMClient
from nrm_async.sandbox import Sandbox

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()
PYTEST_SETTINGS = """
[pytest]
asyncio_mode = auto
asyncio_default_fixture_loop_scope = function
"""
PROGRAMS = re.findall(r"```python\n(.*?)```", README, re.DOTALL)


def _title(program: str) -> str:
    return program.strip().splitlines()[0].lstrip("# ")[:60]


@pytest.mark.parametrize("program", PROGRAMS, ids=_title)
async def test_the_programs_in_the_readme_run(program: str, tmp_path: Path) -> None:
    """Copied out of the README into a file, each runs without a warning, against a sandbox."""
    file = tmp_path / "test_readme_example.py"
    file.write_text(program)
    command = [str(file)]
    if "def test_" in program:
        (tmp_path / "pytest.ini").write_text(PYTEST_SETTINGS)
        command = ["-m", "pytest", "-q", "-p", "no:cacheprovider", *command]
    async with Sandbox(anis=600) as sandbox:
        environment = {"OUTBOUNDIQ_API_KEY": sandbox.api_key, "NRM_BASE_URL": sandbox.url}
        done = await asyncio.create_subprocess_exec(
            sys.executable,
            *("-W", "error", *command),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            cwd=tmp_path,
            env=os.environ | environment,
        )
        output, _ = await done.communicate()
    assert done.returncode == 0, output.decode()
    assert output.strip()


(CURL,) = (block for block in re.findall(r"```sh\n(.*?)```", README, re.DOTALL) if "$API/" in block)


@pytest.mark.skipif(shutil.which("curl") is None, reason="needs curl")
async def test_the_tour_with_curl_runs() -> None:
    """Line by line against a sandbox, each answer is what the README says it is."""
    async with Sandbox() as sandbox:
        shown = CURL.replace("http://127.0.0.1:8080", sandbox.root_url)
        tour = shown.replace("curl -s", "echo; curl -s -S")
        done = await asyncio.create_subprocess_exec(
            *("bash", "-euc", tour), stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )
        output, _ = await done.communicate()
    assert done.returncode == 0, output.decode()
    said = [json.loads(line) for line in output.decode().splitlines() if line]
    health, page, faults, failed, books, clock, active, fresh = said
    assert (health["status"], fresh["requests"]) == ("ok", 0)
    assert page["data"][0]["phone"] == books["entries"][0]["ani"] == active["ani"]
    assert (len(faults["faults"]), failed["success"], active["status"]) == (1, False, "active")
    assert clock["now"]


def test_the_readme_has_programs() -> None:
    """The pattern above finds them."""
    assert len(PROGRAMS) >= 5


def _modules() -> list[str]:
    found = pkgutil.walk_packages(nrm_async.__path__, "nrm_async.")
    return ["nrm_async", *(module.name for module in found if module.name != "nrm_async.__main__")]


@pytest.mark.parametrize("name", _modules())
def test_doctests(name: str) -> None:
    """Examples with ``>>>`` give what they show."""
    module = importlib.import_module(name)
    assert doctest.testmod(module, raise_on_error=False).failed == 0


def _client_examples() -> Iterator[tuple[str, str]]:
    for name, member in [("NRMClient", NRMClient), *inspect.getmembers(NRMClient)]:
        text = inspect.getdoc(member) or ""
        if not name.startswith("_") and "Example::\n" in text:
            after = text.split("Example::\n", 1)[1]
            lines = re.match(r"(?:\n|    .*\n?)+", after)
            assert lines is not None
            yield name, textwrap.dedent(lines.group())


EXAMPLES = dict(_client_examples())


@pytest.mark.parametrize("name", EXAMPLES)
async def test_examples_of_the_client(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Examples in the client's docstrings run inside a coroutine, with a client at hand."""
    async with Sandbox(anis=30) as sandbox:
        monkeypatch.setenv("OUTBOUNDIQ_API_KEY", sandbox.api_key)
        monkeypatch.setenv("NRM_BASE_URL", sandbox.url)
        async with NRMClient() as client:
            wants_active = name != "activate"
            rows = [row async for row in client.anis() if row.is_active is wants_active]
            example = EXAMPLES[name].replace("2345678901", rows[0].phone)
            namespace = vars(nrm_async) | {"client": client}
            code = compile(example, name, "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
            done = eval(code, namespace)
            if inspect.isawaitable(done):  # the example awaits something itself
                await done


def test_every_method_has_an_example() -> None:
    """A public coroutine or iterator without an example is a gap."""
    methods = {name for name, _ in inspect.getmembers(NRMClient, inspect.isfunction)}
    public = {name for name in methods if not name.startswith("_")} - {"aclose"}
    assert public <= EXAMPLES.keys()
    assert asyncio.iscoroutinefunction(NRMClient.pause)
