"""What files of metrics come to, each content read once: by the service that has it, or fetched and read here."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from deriva_ml.asset.download import make_folder
from deriva_ml.ermrest import metrics, objects
from deriva_ml.ermrest.metrics import Parsed
from deriva_ml.errors import DerivaMLAuthenticationError, DerivaMLDataError
from deriva_ml.parallel import run_all

if TYPE_CHECKING:
    from deriva_ml.session import Session
    from deriva_ml.workspace.metrics import MetricsFile, MetricsStore

_ASKED = 2000
"""Files of one request."""
_FETCHED = 200
"""Files that are fetched before what they come to is kept."""

Problems = dict[tuple[str, str], str]
"""Key and URL of a content to why it cannot be read."""


def read_missing(
    session: Session, store: MetricsStore, files: Sequence[MetricsFile], *, indexed: bool, curves: bool
) -> Problems:
    """Read files and keep what they come to.

    Parameters
    ----------
    session : Session
    store : MetricsStore
    files : sequence of MetricsFile
        Whose contents are not known yet.
    indexed : bool
        Whether the service has an index.
    curves : bool
        Whether all records are wanted.

    Returns
    -------
    dict
        Places of the contents that cannot be read, and why.
    """
    here = [file for file in files if indexed and file.url.startswith("/hatrac/")]
    elsewhere = [file for file in files if not (indexed and file.url.startswith("/hatrac/"))]
    return _ask(session, store, here, curves=curves) | _fetch(session, store, elsewhere)


def _ask(session: Session, store: MetricsStore, files: Sequence[MetricsFile], *, curves: bool) -> Problems:
    problems: Problems = {}
    waiting = list(files)
    while waiting:
        asked, waiting = waiting[:_ASKED], waiting[_ASKED:]
        wanted = [(file.url, file.name, file.md5) for file in asked]
        answers = metrics.ask(session.connection, wanted, records=curves)
        found = list(zip(asked, answers, strict=True))
        store.add({file.key: answer for file, answer in found if isinstance(answer, Parsed)})
        problems |= {file.place: answer for file, answer in found if isinstance(answer, str)}
        waiting += [file for file, answer in found if answer is None]
    return problems


def _fetch(session: Session, store: MetricsStore, files: Sequence[MetricsFile]) -> Problems:
    problems: Problems = {}
    if not files:
        return problems
    make_folder(session.cache_dir)
    with tempfile.TemporaryDirectory(prefix=".metrics-", dir=session.cache_dir) as folder:

        def one(file: MetricsFile) -> Parsed | str:
            place = Path(folder, file.asset_rid)
            try:
                objects.fetch(session.connection, file.url, place, md5=file.md5, length=file.length)
                return metrics.parse(place, file.name)
            except (DerivaMLDataError, DerivaMLAuthenticationError) as error:
                return f"it cannot be read: {error}"
            finally:
                place.unlink(missing_ok=True)

        for part in _parts(files):
            found = list(zip(part, run_all(one, part), strict=True))
            store.add({file.key: answer for file, answer in found if isinstance(answer, Parsed)})
            problems |= {file.place: answer for file, answer in found if isinstance(answer, str)}
    return problems


def _parts(files: Sequence[MetricsFile]) -> Iterator[Sequence[MetricsFile]]:
    for start in range(0, len(files), _FETCHED):
        yield files[start : start + _FETCHED]
