"""A progress bar for uploads, where somebody can see it."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

from deriva_ml import settings
from deriva_ml.records import UploadCallback, UploadProgress
from deriva_ml.workflow.source import in_kernel


@contextmanager
def shown(callback: UploadCallback | None) -> Iterator[UploadCallback | None]:
    """The caller's callback; without one, a bar on a terminal or in a notebook that somebody sees, and nothing elsewhere.

    Parameters
    ----------
    callback : callable, optional

    Yields
    ------
    callable or None
    """
    # A kernel that a program runs a notebook in keeps what it writes, a bar with each of its states included.
    watched = in_kernel() and settings.text("DERIVA_ML_HYDRA_OVERRIDES") is None
    if callback is not None or not (watched or sys.stderr.isatty()):
        yield callback
        return
    with warnings.catch_warnings():
        # Without ipywidgets it makes a bar of text, and says so by a warning.
        warnings.simplefilter("ignore")
        from tqdm.auto import tqdm

    bar = tqdm(
        total=100,
        desc="Upload",
        unit="%",
        bar_format="{desc}: {percentage:3.0f}%|{bar}| {elapsed}",
        leave=False,
    )
    phase = ""

    def show(progress: UploadProgress) -> None:
        nonlocal phase
        if progress.phase != phase:
            phase = progress.phase
            bar.reset(total=100)
        bar.set_description_str(f"{phase} {progress.file_name}"[:40], refresh=False)
        bar.n = min(100.0, round(progress.percent_complete, 1))
        bar.update(0)

    try:
        yield show
    finally:
        bar.close()
