"""Copy bytes from a source to a file while their digests are computed; in the kernel where it can be."""

from __future__ import annotations

import errno
import io
import os
import sys

from deriva_server.blobs.backend import Source
from deriva_server.blobs.checksums import Digests, Hasher
from deriva_server.errors import BadRequest

_PIECE = 4 << 20
_STRETCH = 16 << 20
_SMALL = 64 << 10
_FICLONE = 0x40049409
_NO_KERNEL_COPY = frozenset(
    {errno.EXDEV, errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP, errno.EPERM, errno.EBADF, errno.ETXTBSY}
)


def take(source: Source, target: int) -> Digests:
    """Write all bytes of `source` to the empty file `target` (a descriptor open for reading and writing).

    The digests are those of the bytes written, also when the source changes meanwhile.

    Raises
    ------
    BadRequest
        If the source ends early.
    """
    place = _file_behind(source) if source.length > _SMALL else None
    return take_stream(source, target, 0) if place is None else _take_file(*place, source.length, target)


def take_stream(source: Source, target: int, start: int) -> Digests:
    """Write the stream of `source` to a file from byte `start` on.

    Raises
    ------
    BadRequest
        If the stream ends early.
    """
    hasher, rest, offset = Hasher(source.length), source.length, start
    try:
        while rest and (piece := source.stream.read(min(rest, _PIECE))):
            hasher.update(piece)
            offset += write_all(target, piece, offset)
            rest -= len(piece)
        if rest:
            raise BadRequest(f"expected {source.length} bytes, received {source.length - rest}")
        return hasher.finish()
    finally:
        hasher.close()


def write_all(target: int, piece: bytes, offset: int) -> int:
    """Write `piece` at `offset` whole, and tell its length."""
    view = memoryview(piece)
    while view:
        written = _write_at(target, view, offset)
        view, offset = view[written:], offset + written
    return len(piece)


def _write_at(target: int, view: memoryview, offset: int) -> int:
    if hasattr(os, "pwrite"):
        return os.pwrite(target, view, offset)
    os.lseek(target, offset, os.SEEK_SET)
    return os.write(target, view)


def _read_at(file: int, length: int, offset: int) -> bytes:
    if hasattr(os, "pread"):
        return os.pread(file, length, offset)
    os.lseek(file, offset, os.SEEK_SET)
    return os.read(file, length)


def _file_behind(source: Source) -> tuple[int, int] | None:
    """Descriptor and offset of the regular file that the stream reads from, if that is so."""
    stream = source.stream
    # other streams may have a descriptor as well, of bytes that they unpack or write first
    if not isinstance(stream.raw if isinstance(stream, io.BufferedReader) else stream, io.FileIO):
        return None
    try:
        file, offset = stream.fileno(), stream.tell()
        if os.fstat(file).st_size - offset < source.length:
            return None
    except (OSError, ValueError):
        return None
    return file, offset


def _take_file(file: int, start: int, length: int, target: int) -> Digests:
    """Clone, or copy in the kernel, or copy by reading; the copy is what is hashed."""
    cloned = start == 0 and os.fstat(file).st_size == length and _clone(file, target)
    in_kernel, hasher, done = True, Hasher(length), 0
    try:
        while done < length:
            want = min(_PIECE, length - done)
            if not cloned:
                in_kernel = in_kernel and _copy_range(file, start + done, target, done, want)
                if not in_kernel:
                    piece = _read_at(file, want, start + done)
                    write_all(target, piece, done)
            piece = _read_at(target, want, done)
            if not piece:
                raise BadRequest(f"expected {length} bytes, received {done}")
            hasher.update(piece)
            done += len(piece)
            _begin_writing(target, done)
        os.ftruncate(target, length)
        return hasher.finish()
    finally:
        hasher.close()


def _begin_writing(target: int, done: int) -> None:
    """Let the disk begin while later bytes are still copied, so that the final sync finds little to do."""
    if done % _STRETCH == 0 and hasattr(os, "posix_fadvise"):
        os.posix_fadvise(target, done - _STRETCH, _STRETCH, os.POSIX_FADV_DONTNEED)


def _clone(file: int, target: int) -> bool:
    """Let both files share their blocks until one of them is written, where the file system can."""
    if not sys.platform.startswith("linux"):
        return False
    import fcntl

    try:
        fcntl.ioctl(target, _FICLONE, file)
    except OSError:
        return False
    return True


def _copy_range(file: int, start: int, target: int, offset: int, length: int) -> bool:
    """Copy in the kernel; False when it cannot between these files. Less than asked is copied at the end of a file."""
    if not sys.platform.startswith("linux"):
        return False
    done = 0
    while done < length:
        try:
            count = os.copy_file_range(file, target, length - done, start + done, offset + done)
        except OSError as error:
            if error.errno in _NO_KERNEL_COPY:
                return False
            raise
        if count == 0:
            break
        done += count
    return True
