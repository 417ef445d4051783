"""The one place where threads start: a bounded map that keeps order, reports progress and can be interrupted."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from itertools import islice
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")

MOST_WORKERS = 32


def default_workers() -> int:
    """How many threads are worth starting for work that waits for disk or network."""
    return min(8, 2 * (os.cpu_count() or 1))


def run_all(
    function: Callable[[Item], Result],
    items: Iterable[Item],
    workers: int | None = None,
    progress: Callable[[Item, Result], object] | None = None,
) -> list[Result]:
    """Call `function` on every item with a few threads.

    The first error stops the rest: what runs is finished, what waits is dropped, and the error is raised.
    An interruption (Ctrl-C) does the same.

    Parameters
    ----------
    function : callable
    items : iterable
        Read lazily, only a few items ahead of the work.
    workers : int, optional
        Number of threads; 1 runs everything in the calling thread.
    progress : callable, optional
        Called in the calling thread with item and result as each is done, in any order.

    Returns
    -------
    list
        Results in the order of the items.

    Examples
    --------
    >>> run_all(abs, [-2, 1], workers=2)
    [2, 1]
    """
    count = max(1, min(default_workers() if workers is None else workers, MOST_WORKERS))
    numbered = enumerate(items)
    if count == 1:
        return [_report(progress, item, function(item)) for _, item in numbered]
    results: dict[int, Result] = {}
    waiting: dict[Future[Result], tuple[int, Item]] = {}
    with ThreadPoolExecutor(count, thread_name_prefix="deriva-ml") as pool:
        try:
            _fill(pool, function, numbered, waiting, 2 * count)
            while waiting:
                done, _ = wait(waiting, return_when=FIRST_COMPLETED)
                for future in done:
                    place, item = waiting.pop(future)
                    results[place] = _report(progress, item, future.result())
                _fill(pool, function, numbered, waiting, 2 * count)
        except BaseException:
            pool.shutdown(wait=True, cancel_futures=True)
            raise
    return [results[place] for place in range(len(results))]


def within(seconds: float, work: Callable[[], object]) -> bool:
    """Do something that may hang in a thread of its own, which is left alone when it takes too long.

    Returns
    -------
    bool
        Whether it was done in time.
    """
    thread = threading.Thread(target=work, name="deriva-ml", daemon=True)
    thread.start()
    thread.join(seconds)
    return not thread.is_alive()


def _report(progress: Callable[[Item, Result], object] | None, item: Item, result: Result) -> Result:
    if progress is not None:
        progress(item, result)
    return result


def _fill(
    pool: ThreadPoolExecutor,
    function: Callable[[Item], Result],
    numbered: Iterator[tuple[int, Item]],
    waiting: dict[Future[Result], tuple[int, Item]],
    depth: int,
) -> None:
    for place, item in islice(numbered, depth - len(waiting)):
        waiting[pool.submit(function, item)] = (place, item)
