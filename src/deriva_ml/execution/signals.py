"""Signals that end the process while executions run: the blocks end first, then the signal has its way."""

from __future__ import annotations

import atexit
import logging
import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import Protocol

from deriva_ml.errors import DerivaMLException
from deriva_ml.interrupts import ENDING, in_main_thread
from deriva_ml.parallel import within

logger = logging.getLogger(__name__)

_SECONDS = 5.0
"""How long a catalog is waited for when the process is to end; schedulers kill after ten to thirty."""


class Terminated(SystemExit):
    """A signal ends the process; raised where the program is, so that it leaves the blocks of its executions."""

    def __init__(self, number: int) -> None:
        super().__init__(128 + number)
        self.number = number

    def __str__(self) -> str:
        return f"ended by signal {signal.Signals(self.number).name}"


class _Hurry(BaseException):
    """A signal came while the catalog is told of an end."""


class Block(Protocol):
    """A run in a with block."""

    def record_end(self, reason: str | None) -> bool:
        """Write to the local store that it ended, for a reason or well; whether that was news."""


class _Watch:
    """What this process runs, and which signal is to end it."""

    def __init__(self) -> None:
        self.blocks: list[Block] = []
        self.in_threads: list[Block] = []
        self.rest()

    def rest(self) -> None:
        """Nothing is to end."""
        self.received: int | None = None
        """The last signal."""
        self.due: int | None = None
        """The signal by which the block that is left, ends."""
        self.leaving = self.telling = self.hurried = False

    def on_signal(self, number: int) -> None:
        """Raise in the block; while one is left only note it, as its end must be on disk first."""
        again, self.received = self.received is not None, number
        if self.leaving:
            self.due = number
            self.hurried |= again
        if self.telling:
            raise _Hurry
        if not self.leaving and self.blocks:
            raise Terminated(number)
        if not self.leaving:
            _die(number)


_watch = _Watch()


def _on_signal(number: int, frame: FrameType | None) -> None:
    _watch.on_signal(number)


def entered(block: Block) -> None:
    """Watch over a block. Handlers of the program, and signals that it ignores, are left as they are.

    Only the main thread can have signals handled; blocks of other threads are recorded when one of the main thread ends
    by a signal.
    """
    if not in_main_thread():
        _watch.in_threads.append(block)
        return
    _watch.blocks.append(block)
    for number in ENDING:
        if signal.getsignal(number) is signal.SIG_DFL:
            signal.signal(number, _on_signal)


@contextmanager
def leaving(block: Block, error: BaseException | None) -> Iterator[None]:
    """The end of a block, with what it ended by; then the signal that ended the last one has its way."""
    watched, end = block in _watch.blocks and in_main_thread(), ended_by(error)
    if watched:
        _watch.leaving, _watch.due = True, end.number if end is not None else None
    try:
        yield
    finally:
        for blocks in (_watch.blocks, _watch.in_threads):
            if block in blocks:
                blocks.remove(block)
        if watched:
            _left(end)


def _left(end: Terminated | None) -> None:
    due = _watch.due
    if due is not None and not _watch.blocks:
        _die(due)
    if not _watch.blocks:
        _release()
    _watch.leaving, _watch.due = False, None
    if due is not None and end is None:
        # It came while this block was left; the one around it ends too.
        raise Terminated(due)


def ended_by(error: BaseException | None) -> Terminated | None:
    """The end by a signal from which an error came, None for other errors."""
    if isinstance(error, GeneratorExit) and _watch.received is not None:
        # What held the generator ended.
        return Terminated(_watch.received)
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        if isinstance(error, Terminated):
            return error
        seen.add(id(error))
        error = error.__cause__ or error.__context__
    return None


def tell(work: Callable[[], object]) -> None:
    """Tell the catalog of an end; when the process is to end, for a short time only, and not at all after a second signal."""
    if not (_watch.leaving and in_main_thread()):
        work()
    elif (_watch.due is None and _told(work)) or _watch.hurried:
        return
    elif not _told(lambda: within(_SECONDS, work)):
        _watch.hurried = True


def _told(work: Callable[[], object]) -> bool:
    try:
        try:
            _watch.telling = True
            work()
        finally:
            _watch.telling = False
    except _Hurry:
        return False
    return True


def _release() -> None:
    for number in ENDING:
        if signal.getsignal(number) is _on_signal:
            signal.signal(number, signal.SIG_DFL)
    _watch.rest()


def _die(number: int) -> None:
    """End by a signal as if nobody had watched; the first process of a container lives on and ends by an exception."""
    _watch.leaving, reason = True, str(Terminated(number))
    for block in [*_watch.blocks, *_watch.in_threads]:
        try:
            block.record_end(reason)
        except DerivaMLException as error:
            logger.warning("%r could not be recorded as ended: %s", block, error)
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError, AttributeError):
            stream.flush()
    _release()
    signal.signal(number, signal.SIG_DFL)
    os.kill(os.getpid(), number)
    raise Terminated(number)


def _at_exit() -> None:
    """Blocks that were entered and never left, by generators or by hand."""
    if _watch.received is not None and _watch.blocks:
        _die(_watch.received)


def _in_child() -> None:
    """A forked child runs nothing of this, and ends by signals as any process does."""
    _watch.blocks.clear()
    _watch.in_threads.clear()
    _release()


atexit.register(_at_exit)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_in_child)
