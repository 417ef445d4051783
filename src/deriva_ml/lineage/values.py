"""Values of features as what a lineage is asked of: which one is meant, and what it says of which row."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from deriva_ml.ermrest import rows
from deriva_ml.ermrest.rows import escaped, path_of
from deriva_ml.errors import DerivaMLNotFoundError, DerivaMLValidationError
from deriva_ml.lineage.links import Question
from deriva_ml.lineage.text import short
from deriva_ml.names import SYSTEM_COLUMNS

if TYPE_CHECKING:
    from deriva_ml.lineage.shape import Value
    from deriva_ml.model.graph import FeatureTable
    from deriva_ml.rows.reader import Row
    from deriva_ml.session import Session

_EXECUTION, _NAME = "Execution", "Feature_Name"
_SHOWN = 40


def rid_of(session: Session, value: Value) -> str:
    """RID of a value that was read as a record, which is known by who said it of what.

    Raises
    ------
    DerivaMLNotFoundError
        If the catalog has no such value.
    DerivaMLValidationError
        If it was not given by an execution yet.
    """
    feature, said = value.feature, value.to_row()
    if feature is None or said[_EXECUTION] is None:
        raise DerivaMLValidationError(
            f"{value!r} is in no catalog yet; ask for the lineage of one that ml.feature_values() gives."
        )
    columns = (_EXECUTION, _NAME, feature.target_column, *feature.qualifier_columns)
    table = (feature.feature_table.schema.name, feature.feature_table.name)
    where = {column: [said[column]] for column in columns}
    found = list(rows.read(session.connection, table, columns=("RID",), where=where))
    if not found:
        raise DerivaMLNotFoundError(
            f"{session.connection.name} has no {value!r}; it was deleted, or is of another catalog."
        )
    return str(found[0]["RID"])


def _told(feature: FeatureTable) -> list[str]:
    """Columns that tell something of a value."""
    known = {*SYSTEM_COLUMNS, _EXECUTION, _NAME, feature.target_column}
    return [column.name for column in feature.table.columns if column.name not in known]


def question(feature: FeatureTable, is_file: bool) -> Question:
    """What is asked about values of a feature, and, where it is about files, about their names."""
    target = escaped(feature.target_column)
    outputs = ["rid:=F:RID", "producer:=F:Execution", "name:=F:Feature_Name", f"target:=F:{target}"]
    outputs += [f"value{number}:=F:{escaped(column)}" for number, column in enumerate(_told(feature))]
    joined = ""
    if is_file:
        outputs.append("filename:=T:Filename")
        joined = f"T:=(F:{target})=({path_of(feature.target)}:RID)/$F/"
    return Question(f"F:={path_of(feature.table)}", "RID", joined + ",".join(outputs))


def text(feature: FeatureTable, row: Row) -> str:
    """A value in a line."""
    given = ((column, row[f"value{number}"]) for number, column in enumerate(_told(feature)))
    said = [f"{column} {short(str(value), _SHOWN)}" for column, value in given if value is not None]
    about = " ".join(filter(None, (feature.target.name, row["target"], row.get("filename"))))
    return f"{feature.name} of {about}" + (f": {', '.join(said)}" if said else "")


def is_record(value: Any) -> bool:
    """Whether something is a record of a feature."""
    return hasattr(value, "feature") and hasattr(value, "to_row")
