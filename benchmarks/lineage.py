"""What the lineage of long, wide and meshed flows of data costs."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from tests.journeys.flow import chain, fan, mesh, plain, write

from benchmarks.table import Row
from benchmarks.timing import median, some, timed


def measure(folder: Path, share: int) -> Iterator[Row]:
    """All rows."""
    from deriva_ml import DerivaML
    from deriva_ml.schema import create_ml_catalog

    created = create_ml_catalog(str(folder / "lab"), "bench")
    ml = DerivaML(str(folder / "lab"), created.catalog_id, working_dir=folder / "work")
    ml.create_schema("lab")
    ml.create_asset("Image")
    ml.add_dataset_element_type("Image")
    runs = 9 if share == 1 else 1
    for length, limit in ((50, 0.015), (500, 0.15)):
        rids = write(ml, chain(some(length, share)))
        name = f"lineage of a chain of {some(length, share)}"
        yield median(name, lambda last=rids.assets[-1]: ml.lookup_lineage(last), limit, 1, runs)
    first = rids.assets[0]
    name = f"descendants along a chain of {some(500, share)}"
    yield median(name, lambda: ml.lookup_descendants(first), 0.15, 1, runs)
    name = f"lineage of a chain of {some(500, share)}, plain protocol"
    with plain(ml):
        yield timed(name, lambda: ml.lookup_lineage(rids.assets[-1]), 5)
    width = some(2_000, share)
    rids = write(ml, fan(width))
    name = f"lineage of a fan of {width:,}"
    yield median(
        name, lambda: ml.lookup_lineage(rids.executions[-1], max_executions=width + 1), most=10, runs=runs
    )
    side = 20 if share == 1 else 3
    rids = write(ml, mesh(side))
    name = f"lineage of a mesh of {side} generations of {side}"
    yield median(name, lambda: ml.lookup_lineage(rids.executions[-1]), runs=runs)
