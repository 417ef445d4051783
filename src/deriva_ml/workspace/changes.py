"""Store of changes of datasets that take several requests: begun here, and not known to be complete."""

from __future__ import annotations

from deriva_ml.workspace.database import Database

MIGRATION = """
CREATE TABLE dataset_change (
  dataset_rid TEXT NOT NULL,
  digest TEXT NOT NULL,
  PRIMARY KEY (dataset_rid, digest)
) WITHOUT ROWID
"""


class ChangeStore:
    """Changes by dataset and a digest of what is changed.

    Parameters
    ----------
    database : Database
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def is_begun(self, dataset_rid: str, digest: str) -> bool:
        """Whether a change was begun and did not end."""
        sql = "SELECT 1 FROM dataset_change WHERE dataset_rid = ? AND digest = ?"
        return self._database.fetch_one(sql, (dataset_rid, digest)) is not None

    def begin(self, dataset_rid: str, digest: str) -> None:
        """Note that a change is about to be written."""
        with self._database.transaction() as connection:
            connection.execute("INSERT OR IGNORE INTO dataset_change VALUES (?, ?)", (dataset_rid, digest))

    def end(self, dataset_rid: str, digest: str) -> None:
        """Forget a change that is written."""
        with self._database.transaction() as connection:
            connection.execute(
                "DELETE FROM dataset_change WHERE dataset_rid = ? AND digest = ?", (dataset_rid, digest)
            )
