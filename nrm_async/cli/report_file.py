"""The file that a report goes to, and how to go on from it."""

import shlex
from collections.abc import Sequence
from itertools import count
from pathlib import Path

import attrs

from nrm_async import BatchReport, InvalidRequestError
from nrm_async.cli.inputs import ActionName
from nrm_async.cli.options import format_of_file
from nrm_async.files import save_report
from nrm_async.files.formats import check_target


@attrs.frozen
class ReportFile:
    """Where the report goes, if it is wanted.

    Attributes:
        name: What it tells of.
        path: The file.
        options: What was typed to find the API, for whoever goes on later.

    Raises:
        InvalidRequestError: It could not be written there, or its name tells no form.
        ConfigurationError: An extra is needed for it that is not installed.
    """

    name: ActionName
    path: str | None = None
    options: Sequence[str] = ()

    def __attrs_post_init__(self) -> None:
        if self.path is not None:
            format_of_file(self.path, "--report")
            check_target(self.path)

    def check_beside(self, *, file: str | None, retry: str | None) -> None:
        """Do not write over what is read, by whatever name.

        Raises:
            InvalidRequestError: They are the same file.
        """
        if self._is(file):
            raise InvalidRequestError(
                "--report must be another file than --file, which it would write over"
            )
        if self._is(retry):
            raise InvalidRequestError(
                "--report must be another file than --retry, which knows more than what is sent"
            )

    def _is(self, other: str | None) -> bool:
        if self.path is None or other is None or not Path(self.path).exists():
            return False
        return Path(self.path).samefile(other)

    def save(self, report: BatchReport) -> None:
        """Write the report, if it has a file."""
        if self.path is not None:
            save_report(self.path, report)

    def way_on(self) -> str:
        """The command that does what the report left to do, with a report of its own."""
        path = str(self.path)
        words = ("nrm-async", self.name, "--retry", path, "--report", _free_name(path))
        return shlex.join((*words, *self.options))


def _free_name(report: str) -> str:
    path = Path(report)
    suffix = "".join(path.suffixes[-2:]) if path.suffix == ".gz" else path.suffix
    stem = report.removesuffix(suffix)
    return next(name for n in count(2) if not Path(name := f"{stem}-{n}{suffix}").exists())
