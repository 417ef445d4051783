"""Row ids in advance, so that what is inserted can be written down before, and sent again after a failure."""

from __future__ import annotations

import uuid

from deriva_ml.ermrest.connect import Connection
from deriva_ml.ermrest.patience import repeated_when_lost

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

    def reserve() -> list[str]:
        wanted = [{"ID": str(uuid.uuid4())} for _ in range(count)]
        answer = connection.post("/entity/public:ERMrest_RID_Lease", json=wanted, doing=doing)
        return [row["RID"] for row in answer.json()]

    # Leases whose answer was lost are lost themselves: new ones do as well.
    return repeated_when_lost(connection.authority, reserve)
