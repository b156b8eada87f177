"""The command: look at an inventory, act on numbers, run a sandbox, see a demonstration.

It uses the SDK as any other program would; only turning values into plain data is borrowed from
inside.

::

    app      the command, its help, and how it begins and ends
    read_commands, act_commands  the commands, their arguments and help
    options  what several commands share: where the API is, and how hard to work it
    run      from a coroutine to an exit code: errors become one line each
    listing  the inventory, as a table or as JSON Lines
    bulk     actions on many numbers: from the inputs to the report
    report_file  the file that a report goes to
    leftover what a batch that was cut off did not begin
    inputs   what to act on: numbers, a file of them, or what a report left to do
    queue    these inputs on their way to a batch
    numbers  the numbers among the arguments and on standard input
    outcomes what became of each number
    rehearsal  a dry run
    source   an inventory to work on, from the API or a file
    export   the inventory to a file or to standard output
    overview what an inventory has in all
    changes  what changed between two inventories, or changes from now on
    demo     a demonstration against a sandbox, checked against the sandbox's books
    bars     progress, drawn from the client's events
    serve    a sandbox until it is told to stop
    show     text and tables that no stranger's words can break
"""

from nrm_async.cli.app import main

__all__ = ["main"]
