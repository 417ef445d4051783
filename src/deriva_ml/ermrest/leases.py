"""Row ids in advance, so that what is inserted can be written down before, and sent again after a failure."""

from __future__ import annotations

import uuid

from deriva_ml.ermrest.connect import Connection
from deriva_ml.ermrest.patience import Patience, was_lost
from deriva_ml.errors import DerivaMLConnectionError

CHUNK = 10_000


def lease(connection: Connection, count: int, *, chunk: int = CHUNK) -> list[str]:
    """Reserve row ids.

    A lease is used up by the insert that carries its RID.

    Parameters
    ----------
    connection : Connection
    count : int
    chunk : int
        RIDs per request.

    Returns
    -------
    list of str
        `count` RIDs, in rising order.
    """
    rids: list[str] = []
    while len(rids) < count:
        rids += _leased(connection, min(chunk, count - len(rids)))
    return rids


def _leased(connection: Connection, count: int) -> list[str]:
    doing = f"Reserving {count} row ids in {connection.name}"
    patience = Patience(connection.authority)
    while True:
        wanted = [{"ID": str(uuid.uuid4())} for _ in range(count)]
        try:
            answer = connection.post("/entity/public:ERMrest_RID_Lease", json=wanted, doing=doing)
            return [row["RID"] for row in answer.json()]
        except DerivaMLConnectionError as error:
            # Leases whose answer was lost are lost themselves: new ones do as well.
            if not was_lost(error.__cause__) or not patience.again(error.__cause__):
                raise
