"""Lineage of random flows of data, by the plain protocol and by the service's own walk, and what it costs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from deriva_ml import DerivaML
from deriva_ml.ermrest import connect
from deriva_ml.lineage.report import DescendantsResult, LineageResult
from deriva_ml.schema import create_ml_catalog
from tests.journeys.flow import Flow, closure, flows, write


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
def plain(ml: DerivaML) -> Iterator[None]:
    """As with a service that knows no walk."""
    site = ml._session.connection.site
    known, site.features = site.features, {}
    yield
    site.features = known


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


@given(flow=flows(), depth=st.none() | st.integers(0, 3))
@example(flow=CIRCLE, depth=None)
@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
def test_random_flows(ml: DerivaML, flow: Flow, depth: int | None) -> None:
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


def chain(length: int) -> Flow:
    return Flow(
        length, length, 0, {(n, n): 0 for n in range(length)}, {(n + 1, n) for n in range(length - 1)}
    )


def test_long_chain(ml: DerivaML, monkeypatch: pytest.MonkeyPatch) -> None:
    rids = write(ml, chain(500))
    tables = len(ml.model.find_assets())
    with counted(monkeypatch) as sent:
        found = ml.lookup_lineage(rids.assets[-1])
        assert (found.executions_visited, len(sent)) == (500, 1)
        after = ml.lookup_descendants(rids.assets[0])
        assert (after.executions_visited, len(sent)) == (499, 2)
    short = chain(60)
    with plain(ml), counted(monkeypatch) as sent:
        rids = write(ml, short)
        sent.clear()
        assert ml.lookup_lineage(rids.assets[-1]).executions_visited == 60
        assert len(sent) <= 60 * (3 + tables) + 3
