"""What is asked of the driver itself, past SQLAlchemy."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import sqlalchemy as sa


@contextmanager
def as_sqlalchemy(connection: sa.Connection, statement: str) -> Iterator[None]:
    """Let errors of the driver look as those of all other statements."""
    base = connection.dialect.loaded_dbapi.Error
    try:
        yield
    except base as error:
        raise sa.exc.DBAPIError.instance(statement, None, error, base, dialect=connection.dialect) from error
