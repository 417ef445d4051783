from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest
from pydantic import ValidationError

from deriva_ml.lineage.edges import moment_of
from deriva_ml.lineage.report import (
    AssetSummary,
    DatasetSummary,
    DescendantNode,
    DescendantsResult,
    ExecutionSummary,
    LineageNode,
    LineageResult,
    RootDescriptor,
    WorkflowSummary,
)
from deriva_ml.lineage.text import markdown, short, tree
from deriva_server.names import encode_id, to_microseconds


def node(rid: str, *parents: LineageNode, **fields: object) -> LineageNode:
    execution = ExecutionSummary(
        rid=rid, status="Uploaded", workflow=WorkflowSummary(rid="W", name="train.py")
    )
    return LineageNode(execution=execution, parents=list(parents), **fields)


RESULT = LineageResult(
    root=RootDescriptor(rid="1-A", type="Asset", description="Predictions"),
    lineage=node(
        "1-P",
        node("1-T", node("1-I", already_shown=True)),
        node("1-I"),
        consumed_datasets=[DatasetSummary(rid="1-D", version="0.2.0", description="Test " * 30)],
        consumed_assets=[
            AssetSummary(rid="1-M", filename="model.pt", asset_table="Model"),
            AssetSummary(rid="1-U", asset_table="File"),
        ],
    ),
    executions_visited=3,
    walked_complete=False,
)


def test_tree() -> None:
    assert tree(RESULT).splitlines() == [
        "Asset 1-A: Predictions",
        "└─ Execution 1-P [Uploaded] workflow train.py",
        "   ├─ read Dataset 1-D version 0.2.0 Test Test Test Test Test Test Test Test Test Test Test Test…",
        "   ├─ read Model 1-M model.pt",
        "   ├─ read File 1-U (origin not recorded)",
        "   ├─ Execution 1-T [Uploaded] workflow train.py",
        "   │  └─ Execution 1-I [Uploaded] workflow train.py (see below)",
        "   └─ Execution 1-I [Uploaded] workflow train.py",
        "(cut after 3 executions)",
    ]


def test_markdown() -> None:
    lines = markdown(RESULT).splitlines()
    assert lines[0] == "**Asset 1-A: Predictions**"
    assert "  - read Model 1-M model.pt" in lines
    assert "    - Execution 1-I [Uploaded] workflow train.py (see below)" in lines


def long(length: int = 3_000) -> LineageResult:
    chain = node("end")
    for number in range(length):
        chain = node(str(number), chain)
    return LineageResult(root=RootDescriptor(rid="1-A", type="Execution"), lineage=chain)


def test_long_chain() -> None:
    result = long()
    assert len(tree(result).splitlines()) == 3_002
    assert len(result.executions) == 3_001
    assert "3000 executions" in repr(LineageResult(root=result.root, executions_visited=3_000))
    assert repr(result.lineage) == "<LineageNode 2999 [Uploaded]>"
    assert result == long()
    assert result != long(2_999)
    depth, inner = 0, result.model_dump()["lineage"]
    while inner["parents"]:
        depth, inner = depth + 1, inner["parents"][0]
    assert depth == 3_000
    assert result.model_dump_json().count('"already_shown":false') == 3_001
    assert result.to_mermaid().count("-->") == result.to_dot().count("->") == 3_001


def test_json_is_that_of_pydantic() -> None:
    for result in (RESULT, AFTER):
        kind = type(result)
        assert result.model_dump() == result.model_dump(exclude_none=False)
        assert json.loads(result.model_dump_json(indent=2)) == result.model_dump(mode="json")
        assert result.model_dump_json(exclude_defaults=False) == result.model_dump_json()
        assert kind.model_validate_json(result.model_dump_json()) == result
        assert kind.model_validate(result.model_dump()) == result
    assert "description" not in RESULT.model_dump(exclude_none=True)["lineage"]["execution"]
    with pytest.raises(ValidationError):
        LineageResult(root=RESULT.root, more=1)  # type: ignore[call-arg]


AFTER = DescendantsResult(
    root=RootDescriptor(rid="1-D", type="Dataset"),
    descendants=[
        DescendantNode(
            execution=ExecutionSummary(rid="1-T", status="Uploaded", description="Train “é”"),
            consumed_datasets=[DatasetSummary(rid="1-D", version="0.2.0")],
            children=[DescendantNode(execution=ExecutionSummary(rid="1-P", status="Failed"))],
        )
    ],
    executions_visited=2,
    cycle_detected=True,
    depth_capped=True,
)


def test_what_came_of_it() -> None:
    assert tree(AFTER).splitlines() == [
        "Dataset 1-D",
        "└─ Execution 1-T [Uploaded] Train “é”",
        "   ├─ read Dataset 1-D version 0.2.0",
        "   └─ Execution 1-P [Failed]",
        "(an execution depends on itself: the record is damaged)",
        "(cut at the requested depth)",
    ]
    nothing = DescendantsResult(root=AFTER.root)
    assert tree(nothing).splitlines()[1] == "└─ no execution is recorded that read it"
    assert "no execution is recorded" in markdown(nothing)


def test_graphs() -> None:
    assert AFTER.to_mermaid().splitlines() == [
        "flowchart TB",
        '  n0(["Dataset 1-D"])',
        '  n1["Execution 1-T [Uploaded] Train “é”"]',
        '  n2["Execution 1-P [Failed]"]',
        "  n0 --> n1",
        "  n1 --> n2",
    ]
    assert RESULT.to_dot().splitlines() == [
        "digraph lineage {",
        '  n0 [label="Asset 1-A: Predictions", shape=box, style=rounded];',
        '  n1 [label="Execution 1-P [Uploaded] workflow train.py", shape=box];',
        f'  n2 [label="Dataset 1-D version 0.2.0 {short("Test " * 30)}", shape=cylinder];',
        '  n3 [label="Model 1-M model.pt", shape=note];',
        '  n4 [label="File 1-U (origin not recorded)", shape=note];',
        '  n5 [label="Execution 1-T [Uploaded] workflow train.py", shape=box];',
        '  n6 [label="Execution 1-I [Uploaded] workflow train.py", shape=box];',
        "  n1 -> n0;",
        "  n2 -> n1;",
        "  n3 -> n1;",
        "  n4 -> n1;",
        "  n5 -> n1;",
        "  n6 -> n1;",
        "  n6 -> n5;",
        "}",
    ]


def test_moment_of_a_snapshot() -> None:
    moment = datetime(2021, 1, 2, 3, 4, 5, 678912, tzinfo=UTC)
    assert moment_of(encode_id(to_microseconds(moment))) == moment
    assert moment_of(None) is None
