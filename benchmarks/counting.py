"""How often a piece of work asks the server, its databases and the disk."""

from __future__ import annotations

import mmap
import os
import shutil
import struct
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from tests import statements

from deriva_server.embed import LocalServer

_NUMBER = "DERIVA_BENCH_SYNCS"

_LIBRARY = """
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

static long *count;

__attribute__((constructor)) static void begin(void) {
    const char *path = getenv("DERIVA_BENCH_SYNCS");
    int file = path ? open(path, O_RDWR) : -1;
    void *shared = file < 0 ? MAP_FAILED : mmap(0, sizeof(long), PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    if (shared != MAP_FAILED) count = shared;
    if (file >= 0) close(file);
}

#define COUNTED(name)                                                      \\
    int name(int file) {                                                   \\
        static int (*real)(int);                                           \\
        if (!real) real = (int (*)(int))dlsym(RTLD_NEXT, #name);           \\
        if (count) __atomic_fetch_add(count, 1, __ATOMIC_RELAXED);         \\
        return real(file);                                                 \\
    }

COUNTED(fsync)
COUNTED(fdatasync)
COUNTED(syncfs)
"""
"""SQLite asks the disk in C, where Python cannot look; this is loaded before the C library."""


@dataclass(frozen=True)
class Counts:
    """What was asked for.

    Parameters
    ----------
    catalog, objects : int
        Requests to the two services.
    statements : int or None
        Sent to databases of catalogs; None where another process does.
    syncs : int or None
        Calls of fsync, fdatasync and syncfs; None where they are not counted.
    """

    catalog: int
    objects: int
    statements: int | None
    syncs: int | None


class Counting:
    """Grows while the work is done."""

    def __init__(self) -> None:
        self.catalog: list[None] = []
        self.objects: list[None] = []
        self.counts: Counts | None = None


@contextmanager
def counted() -> Iterator[Counting]:
    """Count what this process asks for inside; the result is there at the end."""
    found = Counting()
    handle, handle_objects = LocalServer.handle, LocalServer.handle_objects

    def counting(self: LocalServer, request):  # type: ignore[no-untyped-def]
        (found.objects if request.path.startswith("/hatrac") else found.catalog).append(None)
        return handle(self, request)

    def counting_objects(self: LocalServer, requests):  # type: ignore[no-untyped-def]
        found.objects.extend([None] * len(requests))
        return handle_objects(self, requests)

    LocalServer.handle, LocalServer.handle_objects = counting, counting_objects  # type: ignore[method-assign]
    before = _syncs()
    try:
        with statements.counted() as sent:
            yield found
    finally:
        LocalServer.handle, LocalServer.handle_objects = handle, handle_objects  # type: ignore[method-assign]
    now = _syncs()
    syncs = None if now is None or before is None else now - before
    found.counts = Counts(len(found.catalog), len(found.objects), len(sent), syncs)


def in_a_process_that_counts(module: str, arguments: list[str]) -> int | None:
    """Run a module again so that what is asked of the disk is counted; None where this is such a process, or none can be.

    A C compiler is needed, and Linux.
    """
    compiler = shutil.which("cc")
    if _NUMBER in os.environ or compiler is None or not sys.platform.startswith("linux"):
        return None
    with tempfile.TemporaryDirectory(prefix="deriva-bench-") as folder:
        library, number = Path(folder) / "syncs.so", Path(folder) / "syncs"
        source = library.with_suffix(".c")
        source.write_text(_LIBRARY)
        number.write_bytes(bytes(8))
        subprocess.run([compiler, "-shared", "-fPIC", "-O1", "-o", library, source, "-ldl"], check=True)
        environment = {**os.environ, "LD_PRELOAD": str(library), _NUMBER: str(number)}
        return subprocess.run([sys.executable, "-m", module, *arguments], env=environment).returncode


@cache
def _shared() -> mmap.mmap | None:
    path = os.environ.get(_NUMBER)
    if path is None:
        return None
    with Path(path).open("r+b") as file:
        return mmap.mmap(file.fileno(), 8)


def _syncs() -> int | None:
    shared = _shared()
    return None if shared is None else int(struct.unpack_from("l", shared)[0])
