"""An SDK in TypeScript as a rival, where one is given by path; Node runs it.

``--typescript PATH`` (or ``NRM_TYPESCRIPT_SDK``) names an ES module, built from a checkout of the
SDK, with two async functions::

    pauses(url, key, phones, concurrency)   pause all of them; resolves to how many were applied
    pages(url, key, count, concurrency)     read so many pages of 1,000; resolves to the rows read

What is measured is the CPU time of the Node process around the second of two calls: the first
one warms it up.
"""

import asyncio
import json
import shutil
from typing import Final

from benchmarks.measuring import Took
from benchmarks.pages import ROWS, numbers

_DRIVER: Final = """
const [module, what, url, key, input, expected, concurrency] = JSON.parse(process.argv[1]);
const run = (await import(module))[what];
await run(url, key, input, concurrency);
const before = process.cpuUsage(), started = process.hrtime.bigint();
const done = await run(url, key, input, concurrency);
const wall = Number(process.hrtime.bigint() - started) / 1e9, spent = process.cpuUsage(before);
if (done !== expected) throw new Error(`${done} done, not ${expected}`);
console.log(JSON.stringify([(spent.user + spent.system) / 1e6, wall]));
process.exit(0);
"""


async def typescript(
    module: str, what: str, url: str, key: str, count: int, concurrency: int
) -> Took:
    """CPU and wall of so many pauses or pages."""
    node = shutil.which("node")
    if node is None:
        raise RuntimeError("a TypeScript SDK is given, but there is no node on the PATH")
    given = list(numbers(count)) if what == "pauses" else count
    units = count if what == "pauses" else count * ROWS
    arguments = [module, what, url, key, given, units, concurrency]
    process = await asyncio.create_subprocess_exec(
        node,
        "--input-type=module",
        "-e",
        _DRIVER,
        json.dumps(arguments),
        stdout=asyncio.subprocess.PIPE,
    )
    out, _ = await process.communicate()
    if process.returncode:
        raise RuntimeError("the TypeScript SDK's module failed; its words are above")
    cpu, wall = json.loads(out)
    return Took(cpu, wall, units)
