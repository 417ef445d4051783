"""The rows that stand for what nobody recorded."""

from __future__ import annotations

from typing import TYPE_CHECKING

from deriva_ml.ermrest import rows
from deriva_ml.errors import DerivaMLNotFoundError
from deriva_ml.names import MLTable
from deriva_ml.schema.terms import UNKNOWN_EXECUTION, UNKNOWN_FILE_URL

if TYPE_CHECKING:
    from deriva_ml.session import Session


def unknown_executions(session: Session) -> list[str]:
    """RIDs of the executions that stand for an unknown one; one in a complete catalog."""
    return _rids(session, MLTable.execution, "Description", UNKNOWN_EXECUTION)


def unknown_provenance_execution_rid(session: Session) -> str:
    """RID of the execution that stands for an unknown one.

    Raises
    ------
    DerivaMLNotFoundError
        If the catalog lacks it.
    """
    return _required(unknown_executions(session), MLTable.execution)


def unknown_provenance_file_rid(session: Session) -> str:
    """RID of the file that stands for an unknown one.

    Raises
    ------
    DerivaMLNotFoundError
        If the catalog lacks it.
    """
    return _required(_rids(session, MLTable.file, "URL", UNKNOWN_FILE_URL), MLTable.file)


def _rids(session: Session, table: MLTable, column: str, value: str) -> list[str]:
    found = rows.read(
        session.connection, session.ml_table(table), where={column: [value]}, columns=["RID", "RCT"]
    )
    return [row["RID"] for row in sorted(found, key=lambda row: (row["RCT"], row["RID"]))]


def _required(found: list[str], table: MLTable) -> str:
    if not found:
        raise DerivaMLNotFoundError(
            f"The catalog has no row of {table} that stands for an unknown one; run initialize_ml_schema() once."
        )
    return found[0]
