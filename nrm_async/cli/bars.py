"""Progress, drawn from what the client tells: an observer with a bar for each thing under way."""

from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn

from nrm_async.events import BatchFinished, BatchStarted, Event, ItemFinished, PageRead


def progress(screen: Console) -> Progress:
    """Bars that move with the work, on a terminal only."""
    return Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        console=screen,
        transient=True,
        disable=not screen.is_terminal or screen.is_dumb_terminal,
    )


class Bars:
    """A bar for a listing and for each batch, as long as it lasts; on a terminal only."""

    def __init__(self, screen: Console) -> None:
        self._progress = progress(screen)
        self._batches: dict[int, TaskID] = {}
        self._listing: TaskID | None = None
        self._rows = 0

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._progress.stop()

    def __call__(self, event: Event) -> None:
        """Take an event; this is what ``on_event`` wants."""
        match event:
            case PageRead():
                self._read(event)
            case BatchStarted():
                bar = self._progress.add_task("Acting", total=event.total)
                self._batches[event.batch] = bar
            case ItemFinished():
                self._progress.advance(self._batches[event.batch])
            case BatchFinished():
                self._progress.remove_task(self._batches.pop(event.batch))

    def _read(self, event: PageRead) -> None:
        if event.page == 1:
            self._forget_listing()
            self._listing = self._progress.add_task("Listing", total=event.total_anis)
            self._rows = 0
        if self._listing is None:
            return
        self._progress.update(self._listing, total=event.total_anis, advance=event.rows)
        self._rows += event.rows
        if event.total_anis is not None and self._rows >= event.total_anis:
            self._forget_listing()

    def _forget_listing(self) -> None:
        if self._listing is not None:
            self._progress.remove_task(self._listing)
            self._listing = None
