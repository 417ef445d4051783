"""Many files put at once: in process small ones in batches that share their work, else some at a time."""

from __future__ import annotations

import contextlib
import io
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import BinaryIO, TypeVar

from deriva_ml.ermrest import objects
from deriva_ml.ermrest.connect import Connection
from deriva_ml.ermrest.objects import ASK_FIRST, Progress, Upload
from deriva_ml.errors import DerivaMLException

MOST_FILES = 64
"""Files of a batch; each is an open file of the store while it lasts."""

_MOST_BYTES = 8 << 20
_HELD = 64 << 10
"""Bytes up to which a file is read at once; longer ones stay open, so that the store can copy them in the kernel."""

_CREATED, _TAKEN = 201, 412

Item = TypeVar("Item")
Failure = DerivaMLException | OSError


def batches(
    connection: Connection, items: Iterable[Item], path_of: Callable[[Item], Path]
) -> Iterator[list[Item]]:
    """Items whose files are put by one call of `put_batch`: many small ones in process, else one."""
    batch: list[Item] = []
    length = 0
    for item in items:
        size = _size(path_of(item)) if connection.is_embedded else ASK_FIRST
        if size >= ASK_FIRST:
            yield [item]
            continue
        if length + size > _MOST_BYTES or len(batch) == MOST_FILES:
            yield batch
            batch, length = [], 0
        batch.append(item)
        length += size
    if batch:
        yield batch


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        # Put alone it gives the error that says so.
        return ASK_FIRST


def put_batch(
    connection: Connection,
    batch: Sequence[Upload],
    progress_of: Callable[[Upload], Progress | None] = lambda upload: None,
) -> Iterator[Failure | None]:
    """Put some files; yields for each in turn the error that `objects.put` would raise for it, None for success.

    Parameters
    ----------
    connection : Connection
    batch : sequence of Upload
        As `batches` made it.
    progress_of : callable, optional
        What to call with numbers of bytes of a file that are done.
    """
    answers = _put_together(connection, batch) if len(batch) > 1 else [(0, 0)]
    for upload, (status, length) in zip(batch, answers, strict=True):
        progress = progress_of(upload)
        failure: Failure | None = None
        try:
            if status != _CREATED:
                objects.put_upload(connection, upload, progress, ask_first=status == _TAKEN)
            elif progress is not None:
                progress(length)
        except (DerivaMLException, OSError) as error:
            failure = error
        yield failure


def _put_together(connection: Connection, batch: Sequence[Upload]) -> list[tuple[int, int]]:
    """Status of the answer and bytes for each file, zeros for one that cannot be read."""
    transport = connection.site.transport
    assert transport is not None, "batches of several files are made in process only"
    answers = [(0, 0)] * len(batch)
    with contextlib.ExitStack() as files:
        puts: dict[int, tuple[str, dict[str, str], BinaryIO, int]] = {}
        for number, upload in enumerate(batch):
            with contextlib.suppress(OSError):
                puts[number] = (*objects.new_object(connection, upload), *_body(upload.path, files))
        statuses = transport.put_objects(list(puts.values()))
    for number, status in zip(puts, statuses, strict=True):
        answers[number] = status, puts[number][3]
    return answers


def _body(path: Path, files: contextlib.ExitStack) -> tuple[BinaryIO, int]:
    """Bytes of a file and their number; a file that stays open is closed with `files`."""
    with contextlib.ExitStack() as closing:
        file = closing.enter_context(path.open("rb", buffering=0))
        size = os.fstat(file.fileno()).st_size
        if size <= _HELD:
            data = file.read()
            return io.BytesIO(data), len(data)
        files.push(closing.pop_all())
        return file, size
