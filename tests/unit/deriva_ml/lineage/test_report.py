from __future__ import annotations

from datetime import UTC, datetime

from deriva_ml.lineage.edges import moment_of
from deriva_ml.lineage.report import (
    AssetSummary,
    DatasetSummary,
    ExecutionSummary,
    LineageNode,
    LineageResult,
    RootDescriptor,
    WorkflowSummary,
)
from deriva_ml.lineage.text import markdown, tree
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


def test_long_chain() -> None:
    chain = node("end")
    for number in range(3_000):
        chain = node(str(number), chain)
    result = LineageResult.model_construct(root=RootDescriptor(rid="1-A", type="Execution"), lineage=chain)
    assert len(tree(result).splitlines()) == 3_002


def test_moment_of_a_snapshot() -> None:
    moment = datetime(2021, 1, 2, 3, 4, 5, 678912, tzinfo=UTC)
    assert moment_of(encode_id(to_microseconds(moment))) == moment
    assert moment_of(None) is None
