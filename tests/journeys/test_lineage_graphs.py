"""Lineage of random flows of data, by the plain protocol and by the service's own walk, and what it costs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from tests.journeys.flow import Flow, chain, closure, fan, flows, mesh, plain, write

from deriva_ml import DerivaML
from deriva_ml.ermrest import connect
from deriva_ml.errors import DerivaMLException
from deriva_ml.lineage import sources
from deriva_ml.lineage.report import DescendantsResult, LineageResult
from deriva_ml.schema import create_ml_catalog


@pytest.fixture(scope="module")
def ml(tmp_path_factory: pytest.TempPathFactory) -> DerivaML:
    folder = tmp_path_factory.mktemp("flows")
    catalog = create_ml_catalog(str(folder / "lab"), "lab")
    catalog.getCatalogModel().create_schema({"schema_name": "lab"})
    ml = DerivaML(str(folder / "lab"), catalog.catalog_id, working_dir=folder / "work")
    ml.create_asset("Image")
    ml.create_asset("Model")
    ml.add_dataset_element_type("Image")
    return ml


@contextmanager
def counted(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    sent: list[str] = []
    sending = connect.Connection._request

    def noted(self: Any, verb: str, path: str, *args: Any, **options: Any) -> Any:
        sent.append(path)
        return sending(self, verb, path, *args, **options)

    with monkeypatch.context() as patch:
        patch.setattr(connect.Connection, "_request", noted)
        yield sent


def both(ml: DerivaML, rid: str, **options: Any) -> tuple[LineageResult, DescendantsResult]:
    """Both directions, each of which must come out the same by either way."""
    assert ml._session.connection.features()["walk"]
    found = ml.lookup_lineage(rid, **options), ml.lookup_descendants(rid, **options)
    with plain(ml):
        assert (ml.lookup_lineage(rid, **options), ml.lookup_descendants(rid, **options)) == found
    return found


def edges(result: LineageResult | DescendantsResult) -> dict[str, set[str]]:
    """What hangs on each execution, which must be shown in full once."""
    queue, found = list(result.branches), {}
    for node in queue:
        if not node.already_shown:
            assert node.execution.rid not in found
            found[node.execution.rid] = {branch.execution.rid for branch in node.branches}
            queue.extend(node.branches)
    return found


CIRCLE = Flow(2, 2, 0, writes={(0, 0): 0, (1, 1): 0}, reads={(0, 1), (1, 0)})


def _same_as_reference(ml: DerivaML, flow: Flow, depth: int | None) -> None:
    rids = write(ml, flow)
    number = {rid: at for at, rid in enumerate(rids.executions)}
    up, down = flow.up(), flow.down()
    lineage, after = both(ml, rids.executions[0])
    assert set(map(number.get, edges(lineage))) == closure(up, {0})
    assert {number[rid]: {number[each] for each in found} for rid, found in edges(lineage).items()} == {
        each: up[each] for each in closure(up, {0})
    }
    assert set(map(number.get, edges(after))) == closure(down, {0} | down[0]) - {0}
    assert {number[node.execution.rid] for node in after.descendants} == down[0]
    assert lineage.cycle_detected is any(each in closure(up, set(up[each])) for each in closure(up, {0}))
    both(ml, rids.executions[0], depth=depth)
    for at, rid in enumerate(rids.datasets[:1]):
        lineage, after = both(ml, rid, depth=depth)
        assert {number[node.execution.rid] for node in after.descendants} == flow.readers_of_dataset(at)
        label = flow.current(at)
        maker = flow.versions[at, label][0] if label else None
        starts = ({maker} - {None}) | flow.member_makers(at, None)
        if depth is None:
            assert set(map(number.get, edges(lineage))) == closure(up, starts)
            assert set(map(number.get, edges(after))) == closure(down, flow.readers_of_dataset(at))
    for at, rid in enumerate(rids.assets[:1]):
        lineage, after = both(ml, rid, depth=depth)
        assert {number[node.execution.rid] for node in after.descendants} == flow.readers_of_asset(at)
        first = flow.writers(at)[:1]
        assert lineage.root.producing_execution == (lineage.lineage and lineage.lineage.execution)
        assert [number[node.execution.rid] for node in lineage.branches] == first
        assert [number[made.rid] for made in [after.root.producing_execution] if made] == first


_SOME = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow]


@given(flow=flows(), depth=st.none() | st.integers(0, 3))
@example(flow=CIRCLE, depth=None)
@settings(max_examples=3, suppress_health_check=_SOME, derandomize=True)
def test_random_flows(ml: DerivaML, flow: Flow, depth: int | None) -> None:
    _same_as_reference(ml, flow, depth)


@pytest.mark.soak
@given(flow=flows(12), depth=st.none() | st.integers(0, 3))
@settings(max_examples=300, suppress_health_check=_SOME)
def test_many_random_flows(ml: DerivaML, flow: Flow, depth: int | None) -> None:
    _same_as_reference(ml, flow, depth)


def test_long_chain(ml: DerivaML, monkeypatch: pytest.MonkeyPatch) -> None:
    rids = write(ml, chain(500))
    tables = len(ml.model.find_assets())
    with counted(monkeypatch) as sent:
        found = ml.lookup_lineage(rids.assets[-1])
        assert (found.executions_visited, len(sent)) == (500, 1)
        after = ml.lookup_descendants(rids.assets[0])
        assert (after.executions_visited, len(sent)) == (499, 2)
    with plain(ml), counted(monkeypatch) as sent:
        assert ml.lookup_lineage(rids.assets[9]).executions_visited == 10
        assert len(sent) <= 10 * (3 + tables) + 3
        sent.clear()
        assert ml.lookup_descendants(rids.assets[490]).executions_visited == 9
        # Of each table both what was read of it and who reads what was made.
        assert len(sent) <= 10 * (3 + 2 * tables) + 3


@pytest.mark.soak
def test_long_chain_by_the_plain_protocol(ml: DerivaML, monkeypatch: pytest.MonkeyPatch) -> None:
    rids = write(ml, chain(500))
    with plain(ml), counted(monkeypatch) as sent:
        assert ml.lookup_lineage(rids.assets[-1]).executions_visited == 500
        assert len(sent) <= 500 * (3 + len(ml.model.find_assets())) + 3


def test_wide_fan(ml: DerivaML, monkeypatch: pytest.MonkeyPatch) -> None:
    width = 2_000
    rids = write(ml, fan(width))
    with counted(monkeypatch) as sent:
        found = ml.lookup_lineage(rids.executions[-1], max_executions=5_000)
        assert (found.executions_visited, len(sent)) == (width + 1, 1)
        assert found.lineage is not None
        assert len(found.lineage.consumed_assets) == width
    with plain(ml), counted(monkeypatch) as sent:
        assert ml.lookup_lineage(rids.executions[-1], depth=0).depth_capped
        assert len(sent) <= 10
        sent.clear()
        assert ml.lookup_lineage(rids.executions[-1], max_executions=5_000).executions_visited == width + 1
        assert len(sent) <= 20
    cut = ml.lookup_lineage(rids.executions[-1], max_executions=500)
    assert (cut.executions_visited, cut.walked_complete) == (500, False)


def test_mesh(ml: DerivaML, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each of 20 executions of a generation reads what all of the one before made."""
    wide, deep = 20, 20
    rids = write(ml, mesh(wide))
    with counted(monkeypatch) as sent:
        found = ml.lookup_lineage(rids.executions[-1])
        assert (found.executions_visited, len(sent)) == (wide * (deep - 1) + 1, 1)
        assert len(edges(found)) == found.executions_visited
    with plain(ml), counted(monkeypatch) as sent:
        assert ml.lookup_lineage(rids.executions[-1]).executions_visited == wide * (deep - 1) + 1
        after = len(sent)
        assert ml.lookup_descendants(rids.executions[0]).executions_visited == wide * (deep - 1)
        assert max(after, len(sent) - after) <= deep * (3 + len(ml.model.find_assets())) + 3
    assert ml.lookup_descendants(rids.executions[0]).executions_visited == wide * (deep - 1)


def test_too_much_is_asked_generation_by_generation(ml: DerivaML, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sources, "_PLENTY", 0)
    rids = write(ml, chain(30))
    with counted(monkeypatch) as sent:
        assert ml.lookup_lineage(rids.executions[-1], max_executions=1).executions_visited == 1
        assert sent[0] == "/walk"
        assert len(sent) > 1


def test_at_a_snapshot(ml: DerivaML) -> None:
    rids = write(ml, chain(3))
    before = ml.catalog.latest_snapshot().snaptime
    ml.catalog.delete(f"/entity/lab:Image_Execution/Execution={rids.executions[2]}")
    assert ml.lookup_lineage(rids.executions[2]).executions_visited == 1
    found, after = both(ml, f"{rids.executions[2]}@{before}")
    assert found.executions_visited == 3
    assert ml.lookup_descendants(f"{rids.assets[0]}@{before}").executions_visited == 2
    assert after.descendants == []


def test_versions_and_times(ml: DerivaML) -> None:
    """Of version 0.10.0, at 5, the second asset was no member yet; the nested dataset counts as well."""
    flow = Flow(6, 3, 2, writes={(0, 0): 0, (1, 1): 0, (2, 2): 0})
    flow.versions = {(0, "0.9.0"): (3, 3), (0, "0.10.0"): (4, 5)}
    flow.members = {(0, 0): 1, (0, 1): 6, (1, 2): 2}
    flow.nested = {(0, 1)}
    flow.uses = {(5, 0): "0.9.0"}
    rids = write(ml, flow)
    number = {rid: at for at, rid in enumerate(rids.executions)}

    def made(rid: str) -> list[int]:
        found, _ = both(ml, rid)
        assert found.lineage is not None
        return [number[node.execution.rid] for node in (found.lineage, *found.lineage.parents)]

    assert made(rids.datasets[0])[0] == 4
    assert set(made(rids.datasets[0])) == {4, 0, 1, 2}
    assert made(f"{rids.datasets[0]}@0.9.0")[0] == 3
    assert set(made(f"{rids.datasets[0]}@0.9.0")) == {3, 0, 2}
    assert set(made(rids.executions[5])) == {5, 3, 0, 2}
    for rid, found in ((rids.assets[0], [5]), (rids.assets[1], []), (rids.assets[2], [5])):
        assert [number[node.execution.rid] for node in ml.lookup_descendants(rid).descendants] == found
    assert ml.lookup_descendants(f"{rids.datasets[0]}@0.9.0").executions_visited == 1
    assert ml.lookup_descendants(f"{rids.datasets[0]}@0.10.0").executions_visited == 0
    with pytest.raises(DerivaMLException, match=r"no version 7.0.0; there are: 0.10.0, 0.9.0"):
        ml.lookup_lineage(f"{rids.datasets[0]}@7.0.0")
    with pytest.raises(DerivaMLException, match="only datasets have"):
        ml.lookup_lineage(f"{rids.assets[0]}@0.9.0")


def test_what_has_no_lineage(ml: DerivaML) -> None:
    rids = write(ml, chain(2))
    ml.catalog.delete(f"/entity/lab:Image_Execution/Execution={rids.executions[1]}")
    ml.catalog.delete(f"/entity/deriva-ml:Execution/RID={rids.executions[1]}")
    term = next(iter(ml.get_table_as_dict("Asset_Type")))["RID"]
    wrong = {
        "": "Invalid RID",
        "9-ZZZZ": "no row of this catalog",
        "my csv": "Invalid RID",
        term: "Asset_Type",
    }
    wrong |= {
        rids.executions[1]: "deleted",
        f"{rids.executions[0]}@2-AAAA": "neither a version of a dataset, as in .*@1.2.0, nor a snapshot",
    }
    for lookup in (ml.lookup_lineage, ml.lookup_descendants):
        for rid, message in wrong.items():
            with pytest.raises(DerivaMLException, match=message):
                lookup(rid)
            with plain(ml), pytest.raises(DerivaMLException, match=message):
                lookup(rid)
