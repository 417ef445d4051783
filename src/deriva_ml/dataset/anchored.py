"""Rows of a catalog that belong to some others, copied to this disk for as long as they are read."""

from __future__ import annotations

import shutil
import tempfile
import weakref
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from deriva_ml.bag.database import BagDatabase
from deriva_ml.bag.walk import Walk
from deriva_ml.ermrest.rids import resolve_rids
from deriva_ml.model.ways import TableName, dataset_policy, name_of
from deriva_ml.names import require_list
from deriva_ml.rows.local import LocalReader
from deriva_ml.session import Session, session_of


def copy_reach(
    ml: Any, anchors: Sequence[str] | Mapping[str, Sequence[str]]
) -> tuple[LocalReader, dict[TableName, list[str]]]:
    """Copy some rows, what hangs on them and all they refer to.

    Parameters
    ----------
    ml : DerivaML
    anchors : sequence of str, or mapping of table name to sequence of str
        RIDs.

    Returns
    -------
    LocalReader, dict
        The rows, on this disk until nothing reads them any more; and the RIDs asked for, by table.

    Raises
    ------
    DerivaMLException
        If there is no row with one of the RIDs.
    """
    session = session_of(ml)
    found = _by_table(session, anchors)
    folder = Path(tempfile.mkdtemp(prefix="deriva-ml-rows-"))
    target = BagDatabase(folder / "rows.db")
    try:
        for name, rids in found.items():
            rules = replace(dataset_policy(session.model), start=name)
            Walk(session.reader, rules, target.add).run(rids)
        target.close()
    except BaseException:
        target.abandon()
        shutil.rmtree(folder, ignore_errors=True)
        raise
    reader = LocalReader(folder / "rows.db", session.model, folder)
    weakref.finalize(reader, shutil.rmtree, folder, True)
    return reader, found


def _by_table(
    session: Session, anchors: Sequence[str] | Mapping[str, Sequence[str]]
) -> dict[TableName, list[str]]:
    given = anchors if isinstance(anchors, Mapping) else {"": anchors}
    found: dict[TableName, list[str]] = {}
    for table, rids in given.items():
        candidates = [session.table(table)] if table else None
        wanted = require_list(f"anchors of {table}" if table else "anchors", rids)
        for rid, where in resolve_rids(session.connection, session.model, wanted, candidates).items():
            found.setdefault(name_of(where.table), []).append(rid)
    return found
