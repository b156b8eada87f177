"""Atomic file replacement: write to a temporary file, fsync, rename."""

import os
import secrets
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self

from nrm_async.errors import InvalidRequestError


class AtomicFile:
    """A temporary file that replaces the target file on ``commit``.

    The temporary file is in the target's folder, so that the rename is atomic and a crash leaves
    the old file unchanged. Exiting the block without ``commit`` deletes the temporary file.

    Example:
        >>> import tempfile
        >>> folder = tempfile.TemporaryDirectory()
        >>> path = Path(folder.name) / "numbers.csv"
        >>> with AtomicFile(path) as new:
        ...     _ = new.file.write(b"phone")
        ...     new.commit()
        >>> path.read_bytes(), len(list(path.parent.iterdir()))
        (b'phone', 1)
        >>> folder.cleanup()
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self._target = Path(
            os.path.realpath(path)
        )  # replace the file that a link points to, not the link
        if self._target.exists() and not self._target.is_file():
            raise InvalidRequestError(f"path must name a file, but {self._target} is not a file")
        name = f".{self._target.name}.{secrets.token_hex(4)}.tmp"
        self._path = self._target.with_name(name)
        self.file: BinaryIO = self._path.open("xb")
        self._is_committed = False

    def commit(self) -> None:
        """Flush the data to disk, and rename the temporary file to the target."""
        self.file.flush()
        os.fsync(self.file.fileno())
        self.file.close()
        if self._target.exists():
            self._path.chmod(self._target.stat().st_mode & 0o7777)
        self._path.replace(self._target)
        self._is_committed = True
        _sync_folder(self._target.parent)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if not self._is_committed:
            try:
                self.file.close()  # raises if the disk is full
            finally:
                self._path.unlink(missing_ok=True)


def _sync_folder(folder: Path) -> None:
    """Make the rename durable, on systems that allow opening and syncing a folder."""
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
