"""The command line: read an inventory, act on numbers, run a sandbox or a demonstration.

It uses the public API of the SDK, plus a few internal helpers that format values.

::

    app         the click group, its entry point, and the demo and sandbox commands
    commands    arguments and help texts of the other commands
    options     options shared by several commands: connection, files, durations
    exit_codes  run a coroutine; report an error as one line and an exit code
    console     standard output and error: text, tables, JSON lines, progress bars
    listing     anis: print numbers as a table or JSON Lines
    inventory   export and summary; read an inventory from the API or a file
    changes     diff and watch: print changes
    act         pause, activate, remediate: run the batch, save the report, handle interruption
    inputs      read the numbers to act on: arguments, a file, or a report to retry
    stdin       read numbers from arguments and standard input
    results     print results and dry runs as text or JSON Lines
    signals     cancel the command on SIGINT, SIGTERM and SIGHUP
    demo        run a demonstration against a sandbox
    sandbox     run a sandbox until it is stopped

The README in this directory is the user documentation of the command.
"""

from nrm_async.cli.app import main

__all__ = ["main"]
