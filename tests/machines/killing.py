"""Kill a server while others write to it."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Sequence
from typing import Protocol

from tests.deployments import Http, Serving


class Writer(Protocol):
    """Sends requests until the server is gone, and counts those that were answered."""

    acknowledged: int

    def run(self, caller: Http) -> None: ...


class Killable(Protocol):
    """A process."""

    def kill(self) -> None: ...


def kill_at_work(
    server: Serving, writers: Sequence[Writer], delay: float, others: Iterable[Killable] = ()
) -> None:
    """Let all write, and kill the server and others a while after the first answer.

    Parameters
    ----------
    server : Serving
    writers : list of Writer
    delay : float
        Seconds; however slow the machine is, there is something to lose before they begin.
    others : iterable of Killable
    """
    broken: list[BaseException] = []

    def work(writer: Writer) -> None:
        try:
            writer.run(Http(server.url))
        except BaseException as error:
            broken.append(error)

    def answered() -> int:
        return sum(writer.acknowledged for writer in writers)

    threads = [threading.Thread(target=work, args=(writer,)) for writer in writers]
    before = answered()
    for thread in threads:
        thread.start()
    while answered() == before and any(thread.is_alive() for thread in threads):
        time.sleep(0.002)
    time.sleep(delay)
    for process in (server, *others):
        process.kill()
    for thread in threads:
        thread.join()
    if broken:
        raise broken[0]
