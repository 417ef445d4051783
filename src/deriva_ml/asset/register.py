"""Files that stay where they are: rows that tell their place and what was there."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from deriva_ml.bag.load import matching_rows
from deriva_ml.ermrest import rows
from deriva_ml.names import MLTable
from deriva_ml.rows.reader import Row

if TYPE_CHECKING:
    from deriva_ml.session import Session


def register(session: Session, files: Mapping[str, Row], chunk: int | None = None) -> dict[str, Row]:
    """Have a row in the table File for each of some files.

    A row that is there already is the file's if it has its checksum. Otherwise the file has changed since, and what was
    read then is not what is read now: it gets a row of its own, whose URL ends in its checksum.

    Parameters
    ----------
    session : Session
    files : mapping of str to dict
        URL to the other columns of the row, ``MD5`` among them.
    chunk : int, optional
        Rows per request.

    Returns
    -------
    dict
        The rows by the URLs that were given.
    """
    found = _rows_of(session, files, chunk)
    changed = {url: f"{url}#{file['MD5']}" for url, file in files.items() if found[url]["MD5"] != file["MD5"]}
    if changed:
        own = _rows_of(session, {changed[url]: files[url] for url in changed}, chunk)
        found |= {url: own[changed[url]] for url in changed}
    return found


def _rows_of(session: Session, files: Mapping[str, Row], chunk: int | None) -> dict[str, Row]:
    table = session.ml_table(MLTable.file)
    new = [{"URL": url, **file} for url, file in files.items()]
    made = rows.insert(session.connection, table, new, skip_conflicts=True, chunk=chunk)
    found = {row["URL"]: row for row in made}
    rest = files.keys() - found.keys()
    if rest:
        found |= {row["URL"]: row for row in matching_rows(session.connection, table, "URL", rest)}
    return found
