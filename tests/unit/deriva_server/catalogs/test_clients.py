from dataclasses import replace

from deriva_server.catalogs import clients
from deriva_server.catalogs.catalog import Catalog
from deriva_server.identity import ANONYMOUS, Client


def stored(catalog, client):
    with catalog.read(client) as reading:
        source = reading.source(reading.model.schemas["public"].tables["ERMrest_Client"])
        found = reading.connection.raw.execute(source.select()).mappings().all()
        return reading.snaptime, [dict(row) for row in found]


def test_a_caller_is_registered_once(catalog, client, databases):
    clients.register(catalog, client)
    first, rows = stored(catalog, client)
    assert [(row["ID"], row["RCB"], row["Full_Name"], row["Email"]) for row in rows] == [
        ("kim", "kim", "Kim Lee", "kim@example.org")
    ]
    clients.register(catalog, client)
    twin = Catalog(catalog.id, databases.catalog(catalog.id))
    clients.register(twin, client)
    assert stored(catalog, client)[0] == first
    twin.close()


def test_a_changed_caller_is_brought_up_to_date(catalog, client):
    clients.register(catalog, client)
    before = stored(catalog, client)[1][0]
    clients.register(catalog, replace(client, full_name="Kim Müller"))
    (after,) = stored(catalog, client)[1]
    assert after["Full_Name"] == "Kim Müller"
    assert after["RID"] == before["RID"]
    assert after["RMT"] > before["RMT"]


def test_strangers_are_registered_and_the_anonymous_is_not(catalog, client):
    clients.register(catalog, Client("stranger"))
    clients.register(catalog, ANONYMOUS)
    assert [row["ID"] for row in stored(catalog, client)[1]] == ["stranger"]
