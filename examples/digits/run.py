"""A whole experiment on the UCI digits: ingest, curation, training, evaluation, and the way back.

Run it with ``make demo``, or ``python examples/digits/run.py --folder FOLDER``.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

from catalog import create
from curate import curate
from evaluate import evaluate
from ingest import ingest
from train import train

from deriva_ml.errors import DerivaMLException


def main() -> int:
    """Run every step in its own execution and show how the result came to be."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--folder", type=Path, default=Path("demo"), help="deployment folder, made when missing"
    )
    folder = parser.parse_args().folder.resolve()
    started = time.monotonic()
    try:
        known = folder.exists()
        ml = create(folder)
        print(f"{'Added' if known else 'Made'} catalog {ml.catalog_id} in the local deployment {folder}\n")

        print("1. Ingest: register all images and their labels")
        ingest(ml)
        print("2. Curation: make a dataset, split and release it")
        split = curate(ml)
        print(f"   Training {split.training.rid} {split.training.version}: {split.training.count} images")
        print(f"   Testing  {split.testing.rid} {split.testing.version}: {split.testing.count} images")
        print("3. Training: fit a model on the Training dataset")
        training = train(ml, split.training.rid, split.training.version)
        model_rid = next(
            asset.asset_rid
            for asset in ml.list_execution_assets(training, asset_role="Output")
            if asset.filename == "model.pkl"
        )
        print("4. Evaluation: predict the Testing dataset")
        accuracy, predictions = evaluate(ml, split.testing.rid, split.testing.version, model_rid)
    except DerivaMLException as error:
        print(f"The experiment stopped: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nInterrupted. Everything committed so far is kept; run it again to start a new catalog.")
        return 130

    print(f"\nAccuracy on the test set: {accuracy:.3f}  ({time.monotonic() - started:.0f} s)\n")
    print("How predictions.csv came to be:\n")
    print(ml.lookup_lineage(predictions))
    print(f"\nEverything lies in {folder}. To go on:\n")
    command, catalog = Path(sys.executable).parent / "deriva-ml", ml.catalog_id
    print(f"  {command} executions --host {folder} --catalog {catalog} --working-dir {folder / 'work'}")
    print(f"  {command} serve {folder}")
    print(
        f"  {sys.executable} -c \"import deriva_ml; print(deriva_ml.DerivaML('{folder}', {catalog}).list_assets('Image')[0])\""
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
