"""Print how the newest ``predictions.csv`` came to be."""

from __future__ import annotations

import sys

from make_catalog import open_laboratory


def main() -> int:
    """Find the file, and ask for its lineage."""
    ml = open_laboratory()
    for run in ml.find_executions(workflow_type="Prediction", status="Uploaded", sort=True):
        for asset in run.list_assets("Output"):
            if asset.filename == "predictions.csv":
                print(ml.lookup_lineage(asset.asset_rid))
                print(
                    f"\nOf any RID: deriva-ml lineage {asset.asset_rid} --host ./lab --catalog {ml.catalog_id}"
                )
                return 0
    print("There are no predictions yet. Make some: deriva-ml-run +experiment=evaluate", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
