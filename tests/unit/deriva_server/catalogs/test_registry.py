import pytest

from deriva_server.catalogs.registry import Registry
from deriva_server.errors import BadRequest, Conflict, Forbidden, NotFound, Unauthorized
from deriva_server.identity import ANONYMOUS, Client

OTHER = Client("other", attributes=("admin",))
GUEST = Client("guest")


def test_ids_are_serial_numbers_and_survive_reopening(registry, client, databases):
    assert [registry.create_catalog(client, {}) for _ in range(2)] == ["1", "2"]
    registry.delete(client, "2")
    again = Registry(databases)
    assert again.create_catalog(client, {}) == "3"
    assert [entry.id for entry in again.entries()] == ["1", "3"]
    again.close()


def test_chosen_ids(registry, client):
    for id in ("my-study", "Other Study/ü", "2"):
        assert registry.create_catalog(client, {"id": id}) == id
        assert registry.catalog(id).id == id
        with pytest.raises(Conflict):
            registry.create_catalog(client, {"id": id})
    assert registry.create_catalog(client, {}) == "1"
    assert registry.create_catalog(client, {}) == "3"


def test_only_creators_create(registry):
    with pytest.raises(Forbidden):
        registry.create_catalog(GUEST, {})
    with pytest.raises(Unauthorized):
        registry.create_catalog(ANONYMOUS, {})


def test_owner_must_include_the_creator(registry, client):
    with pytest.raises(Conflict):
        registry.create_catalog(client, {"owner": ["somebody"]})
    id = registry.create_catalog(client, {"owner": ["somebody", "admin"]})
    with registry.catalog(id).read(OTHER) as reading:
        assert reading.model.acls["owner"] == ["somebody", "admin"]
        assert reading.model.acls["select"] == []


@pytest.mark.parametrize(
    "document", [{"owner": [5]}, {"annotations": []}, {"id": ""}, {"id": []}, {"name": 5}]
)
def test_malformed_documents_leave_nothing(registry, client, document, databases):
    with pytest.raises(BadRequest):
        registry.create_catalog(client, document)
    assert registry.entries() == []
    assert not databases.has_catalog("1")


def test_what_a_broken_creation_left_is_overwritten(registry, client, databases, tmp_path):
    databases.create_catalog("1").close()
    if (tmp_path / "catalogs").exists():
        (tmp_path / "catalogs" / "1.db").write_bytes(b"half a file")
    assert registry.create_catalog(client, {}) == "1"
    with registry.catalog("1").read(client) as reading:
        assert list(reading.model.schemas) == ["public"]


def test_delete_is_for_owners_and_for_good(registry, client, databases):
    id = registry.create_catalog(client, {})
    with pytest.raises(Forbidden):
        registry.delete(OTHER, id)
    registry.delete(client, id)
    for action in (registry.catalog, lambda id: registry.delete(client, id)):
        with pytest.raises(NotFound):
            action(id)
    with pytest.raises(Conflict):
        registry.create_catalog(client, {"id": id})
    assert registry.purge() == [id]
    assert registry.purge() == []
    assert not databases.has_catalog("1")


def test_other_processes_notice_deletion(registry, client, databases):
    id = registry.create_catalog(client, {})
    other = Registry(databases)
    other.catalog(id)
    registry.delete(client, id)
    with pytest.raises(NotFound):
        other.catalog(id)
    other.close()


def test_aliases(registry, client):
    id = registry.create_catalog(client, {})
    assert registry.create_alias(client, {"id": "study", "alias_target": int(id)}) == "study"
    resolved = registry.resolve("study")
    assert (resolved.entry.id, resolved.target.id, resolved.catalog.id) == ("study", id, id)
    assert registry.alias(client, "study") == {"id": "study", "owner": ["kim"], "alias_target": id}
    with pytest.raises(Forbidden):
        registry.alias(OTHER, "study")
    with pytest.raises(Conflict):
        registry.put_alias(client, "study", {"alias_target": "nowhere"})
    with pytest.raises(BadRequest):
        registry.put_alias(client, "study", {"id": "else"})
    assert registry.put_alias(client, "study", {})[0]["alias_target"] is None
    with pytest.raises(NotFound, match="not bound"):
        registry.resolve("study")
    document, is_new = registry.put_alias(client, "new", {"id": "new", "alias_target": id})
    assert is_new
    assert document["alias_target"] == id
    registry.delete(client, "new")
    assert registry.catalog(id).id == id
    registry.delete_alias(client, "study")
    for name in ("new", "study", id):
        with pytest.raises(NotFound):
            registry.alias(client, name)


def test_an_alias_of_a_deleted_catalog_leads_nowhere(registry, client):
    id = registry.create_catalog(client, {})
    registry.create_alias(client, {"id": "study", "alias_target": id})
    registry.delete(client, id)
    with pytest.raises(NotFound):
        registry.resolve("study")
