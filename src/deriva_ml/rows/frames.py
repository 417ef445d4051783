"""Rows as pandas frames; the only place that knows pandas."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd

    from deriva_ml.rows.reader import Row


def _pandas() -> Any:
    try:
        import pandas
    except ImportError as error:
        raise ImportError(
            "pandas is needed for a data frame; install it with: pip install 'deriva-ml[pandas]'"
        ) from error
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
    ImportError
        If pandas is not installed.
    """
    made: pd.DataFrame = _pandas().DataFrame(list(rows), columns=None if columns is None else list(columns))
    return made


def frame_of_columns(columns: Mapping[str, Sequence[Any]]) -> pd.DataFrame:
    """Make a frame of whole columns, which all have the same length.

    Raises
    ------
    ImportError
        If pandas is not installed.
    """
    made: pd.DataFrame = _pandas().DataFrame(dict(columns))
    return made
