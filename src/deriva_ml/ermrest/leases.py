"""Row ids in advance, so that what is inserted can be written down before, and sent again after a failure."""

from __future__ import annotations

import uuid

from deriva_ml.ermrest.connect import Connection

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
        wanted = [{"ID": str(uuid.uuid4())} for _ in range(min(chunk, count - len(rids)))]
        doing = f"Reserving {count} row ids in {connection.name}"
        rows = connection.post(
            "/entity/public:ERMrest_RID_Lease", json=wanted, doing=doing, repeatable=True
        ).json()
        rids += [row["RID"] for row in rows]
    return rids
