"""Rows as pandas frames; the only place that knows pandas."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from deriva_ml.extras import needed

if TYPE_CHECKING:
    import pandas as pd

    from deriva_ml.rows.reader import Row


def _pandas() -> Any:
    with needed("Data frames need", "pandas"):
        import pandas
    return pandas


def frame(rows: Iterable[Row], columns: Sequence[str] | None = None) -> pd.DataFrame:
    """Make a frame of rows.

    Parameters
    ----------
    rows : iterable of dict
    columns : sequence of str, optional
        Columns and their order; there even without any row.

    Raises
    ------
    DerivaMLDependencyError
        If pandas is not installed.
    """
    found = list(rows)
    labels = list(found[0]) if columns is None and found else list(columns or ())
    return frame_of_columns({label: [row[label] for row in found] for label in labels})


def frame_of_columns(columns: Mapping[str, Sequence[Any]]) -> pd.DataFrame:
    """Make a frame of whole columns, which all have the same length.

    What is missing is None among texts and other objects, as it is in rows; NaN among numbers.

    Raises
    ------
    DerivaMLDependencyError
        If pandas is not installed.
    """
    pandas = _pandas()
    made: pd.DataFrame = pandas.DataFrame(
        {label: _column(pandas, values) for label, values in columns.items()}, columns=list(columns)
    )
    return made


def _column(pandas: Any, values: Sequence[Any]) -> Any:
    """A column; of texts as objects where some are missing, which pandas would turn into floats, and so into truth."""
    if any(value is None for value in values) and any(isinstance(value, str) for value in values):
        return pandas.Series(values, dtype=object)
    return pandas.Series(values) if values else pandas.Series(values, dtype=object)
