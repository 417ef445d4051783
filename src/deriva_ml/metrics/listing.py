"""Which files of metrics a catalog has: asked in full once, then only for what changed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from deriva_ml.ermrest import rows
from deriva_ml.ermrest.metrics import kind_of
from deriva_ml.names import AssetRole, ExecMetadataType, MLAsset

if TYPE_CHECKING:
    from deriva_ml.session import Session
    from deriva_ml.workspace.metrics import MetricsStore

_TIMES = ("T", "F", "E")
"""Aliases of the three tables: tags, files, and the executions that made them."""


def bring_up_to_date(session: Session, store: MetricsStore, snaptime: str) -> None:
    """Let the store know the files that the catalog has, with one request when nothing of them changed.

    Parameters
    ----------
    session : Session
    store : MetricsStore
    snaptime : str
        Id of the newest snapshot; with the one that the store knows, nothing is asked at all.
    """
    scope = session.connection.snapshot or ""
    known_at, known = store.moment(scope)
    if known_at == snaptime:
        return
    path = _path(session)
    times = ",".join(f"{alias}:=max({alias}:RMT)" for alias in _TIMES)
    found = rows.query(session.connection, f"/aggregate/{path}/n:=cnt(*),{times}")[0]
    state = [found["n"], *(found[alias] for alias in _TIMES)]
    moment = (snaptime, state)
    if state == known:
        store.put_files(scope, (), moment, all_of_them=False)
        return
    if known and known[0] and known[0] <= state[0]:
        later = ";".join(
            f"{alias}:RMT::geq::{rows.escaped(time)}" for alias, time in zip(_TIMES, known[1:], strict=True)
        )
        store.put_files(scope, _files(session, f"{path}/({later})"), moment, all_of_them=False)
        if store.count(scope) == state[0]:
            return
    # Something was taken away, or came with an earlier time than what was seen before.
    store.put_files(scope, _files(session, path), moment, all_of_them=True)


def _path(session: Session) -> str:
    """Tags of files of metrics, with the files and the executions that made them."""
    table = (session.ml_schema, str(MLAsset.execution_metadata))
    tags, tagged, type_column = session.model.asset_types(table)
    links, linked, _ = session.model.asset_executions(table)
    escaped = rows.escaped
    return (
        f"T:={rows.path_of(tags)}/{escaped(type_column)}={escaped(ExecMetadataType.metrics_file)}"
        f"/F:=({escaped(tagged)})"
        f"/E:=(RID)=({rows.path_of(links)}:{escaped(linked)})/Asset_Role={escaped(AssetRole.output)}"
    )


def _files(session: Session, path: str) -> list[dict[str, Any]]:
    _, _, execution = session.model.asset_executions((session.ml_schema, str(MLAsset.execution_metadata)))
    wanted = f"E:{rows.escaped(execution)},F:RID,F:URL,F:Filename,F:Length,F:MD5,F:RCT"
    found = rows.query(session.connection, f"/attribute/{path}/{wanted}")
    return [_file(row, execution) for row in found]


def _file(row: Mapping[str, Any], execution: str) -> dict[str, Any]:
    name, md5 = row["Filename"] or "", row["MD5"]
    return {
        "asset_rid": row["RID"],
        "execution_rid": row[execution],
        "name": name,
        "url": row["URL"],
        "md5": md5,
        "length": row["Length"],
        "content": f"{md5.lower()}.{kind_of(name)}",
        "made": row["RCT"],
    }
