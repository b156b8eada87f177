"""Every example in a Markdown document or a docstring runs as it stands, against a sandbox."""

import ast
import asyncio
import doctest
import importlib
import inspect
import json
import logging
import re
import shutil
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

import attrs
import pytest

import nrm_async
from nrm_async import NRMClient
from nrm_async.sandbox import Sandbox

ROOT = Path(__file__).parent.parent.parent
PACKAGE = Path(nrm_async.__file__).parent
DOCUMENTS = [
    *ROOT.glob("*.md"),
    *(found for folder in ("nrm_async", "benchmarks") for found in (ROOT / folder).rglob("*.md")),
]
PYTEST_SETTINGS = """
[pytest]
asyncio_mode = auto
asyncio_default_fixture_loop_scope = function
filterwarnings = error
"""


@attrs.frozen
class Block:
    """One fenced block of a document."""

    document: Path
    text: str

    @property
    def title(self) -> str:
        """The document and the comment in the first line."""
        first = self.text.strip().splitlines()[0].lstrip("# ")[:60]
        return f"{self.document.relative_to(ROOT)}: {first}"


def _blocks(language: str) -> list[Block]:
    pattern = re.compile(rf"^```{language}\n(.*?)^```", re.DOTALL | re.MULTILINE)
    return [
        Block(document, text)
        for document in sorted(DOCUMENTS)
        for text in pattern.findall(document.read_text())
    ]


PROGRAMS = _blocks("python")
TEST_MODULES = [block for block in PROGRAMS if "def test_" in block.text]
SCRIPTS = [block for block in PROGRAMS if block not in TEST_MODULES]
CURL_TOURS = [block for block in _blocks("sh") if "$API/" in block.text]


@pytest.fixture
def logger_of_the_package() -> Iterator[None]:
    """Restore the logger that a program may configure."""
    logger = logging.getLogger("nrm_async")
    handlers, level = [*logger.handlers], logger.level
    yield
    logger.handlers[:] = handlers
    logger.setLevel(level)


@pytest.mark.usefixtures("logger_of_the_package")
@pytest.mark.parametrize("script", SCRIPTS, ids=lambda block: block.title)
def test_the_programs_in_the_documents_run(
    script: Block,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    """Each program runs without a warning against a sandbox, and prints something."""
    monkeypatch.chdir(tmp_path)
    with Sandbox(anis=600) as sandbox:
        monkeypatch.setenv("OUTBOUNDIQ_API_KEY", sandbox.api_key)
        monkeypatch.setenv("NRM_BASE_URL", sandbox.url)
        exec(compile(script.text, script.title, "exec"), {"__name__": "__main__"})
    assert "".join(capfd.readouterr()).strip()


def test_the_tests_in_the_documents_pass(tmp_path: Path) -> None:
    """Each example with test functions passes in a pytest run of its own, without a warning."""
    (tmp_path / "pytest.ini").write_text(PYTEST_SETTINGS)
    for number, block in enumerate(TEST_MODULES):
        (tmp_path / f"test_example_{number}.py").write_text(f"{block.text}\n# {block.title}\n")
    # Plugins that only this project's own suite needs take seconds to load.
    left_out = ("-p", "no:schemathesis", "-p", "no:hypothesispytest", "-p", "no:cacheprovider")
    done = subprocess.run(
        [sys.executable, "-W", "error", "-m", "pytest", "-q", "-rA", *left_out, str(tmp_path)],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    for number in range(len(TEST_MODULES)):
        assert f"PASSED test_example_{number}.py" in done.stdout


@pytest.mark.skipif(shutil.which("curl") is None, reason="needs curl")
@pytest.mark.parametrize("tour", CURL_TOURS, ids=lambda block: block.title)
async def test_the_tour_with_curl_runs(tour: Block) -> None:
    """Line by line against a sandbox, each answer is the one that the document announces."""
    async with Sandbox() as sandbox:
        commands = tour.text.replace("http://127.0.0.1:8080", sandbox.root_url)
        commands = commands.replace("curl -s", "echo; curl -s -S")
        done = await asyncio.create_subprocess_exec(
            *("bash", "-euc", commands), stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )
        output, _ = await done.communicate()
    assert done.returncode == 0, output.decode()
    answers = [json.loads(line) for line in output.decode().splitlines() if line]
    health, page, faults, failed, books, clock, active, fresh = answers
    assert (health["status"], fresh["requests"]) == ("ok", 0)
    assert page["data"][0]["phone"] == books["entries"][0]["ani"] == active["ani"]
    assert (len(faults["faults"]), failed["success"], active["status"]) == (1, False, "active")
    assert clock["now"]


def test_the_examples_are_found() -> None:
    """The patterns above find every Python block, and the README has programs and tests."""
    assert {block.document for block in SCRIPTS} & {block.document for block in TEST_MODULES}
    for document in DOCUMENTS:
        found = sum(block.document == document for block in PROGRAMS)
        assert document.read_text().lower().count("```py") == found, document


MODULES_WITH_DOCTESTS = [
    ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts).removesuffix(".__init__")
    for path in sorted(PACKAGE.rglob("*.py"))
    if ">>> " in path.read_text()
]


@pytest.mark.parametrize("name", MODULES_WITH_DOCTESTS)
def test_doctests(name: str) -> None:
    """Examples with ``>>>`` give what they show."""
    done = doctest.testmod(importlib.import_module(name), raise_on_error=False)
    assert done.attempted
    assert not done.failed


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
    """Examples in the client's docstrings run in a coroutine in which ``client`` is defined."""
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
    """Every public method of the client has an example in its docstring."""
    methods = {name for name, _ in inspect.getmembers(NRMClient, inspect.isfunction)}
    public = {name for name in methods if not name.startswith("_")} - {"aclose"}
    assert public <= EXAMPLES.keys()
    assert asyncio.iscoroutinefunction(NRMClient.pause)
