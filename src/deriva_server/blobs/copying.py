"""Copy bytes from a source to a file while their digests are computed; in the kernel where it can be."""

from __future__ import annotations

import errno
import hashlib
import io
import os
import sys
from collections.abc import Callable, Iterator

from deriva_server.blobs.backend import Source
from deriva_server.blobs.checksums import Digests, Hasher
from deriva_server.errors import BadRequest

_PIECE = 4 << 20
_STRETCH = 16 << 20
_SMALL = 64 << 10
_BUFFERED = (io.BufferedReader, io.BufferedRandom)
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
    if place is None:
        return _take_stream(source, target)
    file, start = place
    cloned = start == 0 and os.fstat(file).st_size == source.length and _clone(file, target)
    if cloned:
        return digests_of(target, source.length, source.tell)
    hasher = Hasher(source.length)
    try:
        for done, length in _copied(file, start, source.length, target, 0):
            hasher.update(_read_whole(target, length, done))
            source.tell(length)
        return hasher.finish()
    finally:
        hasher.close()


def place(source: Source, target: int, start: int) -> None:
    """Write all bytes of `source` to a file from byte `start` on, without looking at them.

    Raises
    ------
    BadRequest
        If the source ends early.
    """
    behind = _file_behind(source) if source.length > _SMALL else None
    if behind is None:
        for _ in _pumped(source, target, start):
            pass
    else:
        for _ in _copied(*behind, source.length, target, start):
            pass


def digests_of(file: int, length: int, tell: Callable[[int], object] = lambda count: None) -> Digests:
    """Hash the first bytes of a file; `tell` is called with numbers of bytes that are done.

    Raises
    ------
    BadRequest
        If it is shorter.
    """
    hasher = Hasher(length)
    try:
        for done in range(0, length, _PIECE):
            piece = _read_whole(file, min(_PIECE, length - done), done)
            hasher.update(piece)
            tell(len(piece))
        return hasher.finish()
    finally:
        hasher.close()


def md5_of(file: int, start: int, length: int) -> str:
    """MD5 of a stretch of a file, in hexadecimal."""
    digest = hashlib.md5(usedforsecurity=False)
    for done in range(0, length, _PIECE):
        digest.update(_read_whole(file, min(_PIECE, length - done), start + done))
    return digest.hexdigest()


def _take_stream(source: Source, target: int) -> Digests:
    hasher = Hasher(source.length)
    try:
        for piece in _pumped(source, target, 0):
            hasher.update(piece)
            source.tell(len(piece))
        return hasher.finish()
    finally:
        hasher.close()


def _pumped(source: Source, target: int, start: int) -> Iterator[bytes]:
    """Write the stream piece by piece; yields what was written."""
    done = 0
    while done < source.length and (piece := source.stream.read(min(source.length - done, _PIECE))):
        write_all(target, piece, start + done)
        done += len(piece)
        begin_writing(target, start, done)
        yield piece
    if done < source.length:
        raise BadRequest(f"expected {source.length} bytes, received {done}")


def _copied(file: int, start: int, length: int, target: int, offset: int) -> Iterator[tuple[int, int]]:
    """Copy a stretch of a file, in the kernel where it can be; yields offsets and lengths in the target."""
    in_kernel, done = True, 0
    while done < length:
        want = min(_PIECE, length - done)
        in_kernel = in_kernel and _copy_range(file, start + done, target, offset + done, want)
        if not in_kernel:
            write_all(target, _read_whole(file, want, start + done), offset + done)
        done += want
        begin_writing(target, offset, done)
        yield offset + done - want, want


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
    if not isinstance(stream.raw if isinstance(stream, _BUFFERED) else stream, io.FileIO):
        return None
    try:
        stream.flush()
        file, offset = stream.fileno(), stream.tell()
        if os.fstat(file).st_size - offset < source.length:
            return None
    except (OSError, ValueError):
        return None
    return file, offset


def _read_whole(file: int, length: int, offset: int) -> bytes:
    piece = _read_at(file, length, offset)
    while len(piece) < length and (more := _read_at(file, length - len(piece), offset + len(piece))):
        piece += more
    if len(piece) < length:
        raise BadRequest(f"expected {length} more bytes, received {len(piece)}")
    return piece


def begin_writing(target: int, start: int, done: int) -> None:
    """Let the disk begin while later bytes are still copied, so that the final sync finds little to do."""
    if done % _STRETCH == 0 and hasattr(os, "posix_fadvise"):
        os.posix_fadvise(target, start + done - _STRETCH, _STRETCH, os.POSIX_FADV_DONTNEED)


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
    """Copy in the kernel; False when it cannot between these files, or the first one ends."""
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
            return False
        done += count
    return True
