"""Which process works on an execution, and whether it still lives."""

from __future__ import annotations

import os
import socket
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Self


@dataclass(frozen=True)
class Process:
    """A process of some machine.

    Parameters
    ----------
    host : str
    pid : int
    born : str, optional
        When it began, in words of its system that no later process has again, not even one of the same number after the
        machine was restarted; None where the system does not tell.
    """

    host: str
    pid: int
    born: str | None = None

    @classmethod
    def this(cls) -> Self:
        """The one that runs."""
        return cls(socket.gethostname(), os.getpid(), _born_here(os.getpid()))

    @property
    def is_this(self) -> bool:
        """Whether it is the one that runs."""
        return self == Process.this()

    @property
    def is_parent(self) -> bool:
        """Whether the one that runs descends from it, as far as the system tells."""
        pid: int | None = os.getppid()
        while pid and pid != self.pid:
            pid = _parent(pid)
        return pid == self.pid and self.is_alive

    @property
    def is_alive(self) -> bool:
        """Whether it is on this machine and has not ended, as far as the system tells."""
        return self.host == socket.gethostname() and not self.is_gone

    @property
    def is_gone(self) -> bool:
        """Whether it was on this machine and has ended; what another machine runs cannot be seen from here."""
        if self.host != socket.gethostname() or os.name == "nt":
            # On Windows, asking with a signal would send it.
            return False
        try:
            os.kill(self.pid, 0)
        except ProcessLookupError:
            return True
        except PermissionError:
            pass
        born = _born(self.pid)
        return born != self.born if born is not None and self.born is not None else False

    @property
    def ended_with_machine(self) -> bool:
        """Whether this machine was restarted since it began, as far as the system tells."""
        here = Process.this()
        known = self.host == here.host and self.born is not None and here.born is not None
        return known and str(self.born).partition(" ")[0] != str(here.born).partition(" ")[0]

    def __str__(self) -> str:
        return f"process {self.pid} on {self.host}"


@cache
def _born_here(pid: int) -> str | None:
    return _born(pid)


@cache
def _boot() -> str:
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()


def _born(pid: int) -> str | None:
    fields = _status(pid)
    if fields is None:
        return None
    # A process that has ended and whose parent has not asked for its status is there, and is no more.
    return "ended" if fields[0] in {"Z", "X"} else f"{_boot()} {fields[19]}"


def _parent(pid: int) -> int | None:
    fields = _status(pid)
    return int(fields[1]) if fields is not None else None


def _status(pid: int) -> list[str] | None:
    """Fields of /proc after the name, which may hold anything; None where there are none."""
    try:
        return Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()
    except OSError:
        return None
