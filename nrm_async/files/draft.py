"""A file that takes its name only when it is whole: a crash leaves the old one as it was."""

import os
import secrets
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self

from nrm_async.errors import InvalidRequestError


class Draft:
    """A new file beside the one that it will replace.

    It is written under a name of its own in the same folder, so that taking the other's name is
    one step of the file system. Leaving its block without ``commit`` removes it.

    Example:
        >>> import tempfile
        >>> folder = tempfile.TemporaryDirectory()
        >>> path = Path(folder.name) / "numbers.csv"
        >>> with Draft(path) as draft:
        ...     _ = draft.file.write(b"phone")
        ...     draft.commit()
        >>> path.read_bytes(), len(list(path.parent.iterdir()))
        (b'phone', 1)
        >>> folder.cleanup()
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self._target = Path(os.path.realpath(path))  # a link stays a link
        if self._target.exists() and not self._target.is_file():
            raise InvalidRequestError(f"path must name a file, and {self._target} is none")
        name = f".{self._target.name}.{secrets.token_hex(4)}.tmp"
        self._path = self._target.with_name(name)
        self.file: BinaryIO = self._path.open("xb")
        self._is_over = False

    def commit(self) -> None:
        """Make sure that it is on the disk, and give it its name."""
        self.file.flush()
        os.fsync(self.file.fileno())
        self.file.close()
        if self._target.exists():
            self._path.chmod(self._target.stat().st_mode & 0o7777)
        self._path.replace(self._target)
        self._is_over = True
        _sync_folder(self._target.parent)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if not self._is_over:
            try:
                self.file.close()  # fails where what is left does not fit on the disk
            finally:
                self._path.unlink(missing_ok=True)


def _sync_folder(folder: Path) -> None:
    """Make the new name durable too; not every system lets a folder be opened for that."""
    try:
        handle = os.open(folder, os.O_RDONLY)
    except OSError:
        return
    try:
        os.fsync(handle)
    except OSError:
        return
    finally:
        os.close(handle)
