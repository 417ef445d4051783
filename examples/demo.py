"""A whole experiment as it is typed: a new project, training, evaluation, and the way back from the predictions.

Run it with ``make demo``, or ``python examples/demo.py --folder FOLDER``; run again, it goes on with the project.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from deriva_ml.project.step import show, shown, step

LOAD = "src/scripts/load_digits.py"


def main() -> int:
    """Run each command until one fails."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--folder", type=Path, default=Path("demo"), help="project, made when missing")
    folder = parser.parse_args().folder.absolute()
    started = time.monotonic()
    for status in steps(folder):
        if status:
            print("\nStopped. What was committed is kept; run this again to go on.", file=sys.stderr)
            return status
    print(f"\nThat took {time.monotonic() - started:.0f} s. {folder / 'README.md'} says what else to type.")
    return 0


def steps(folder: Path) -> Iterator[int]:
    """Exit status of each command."""
    if not (folder / LOAD).exists():
        yield step(["deriva-ml", "new", shown(folder)], Path.cwd())
        print()
    else:
        show(f"cd {shown(folder)}")
        yield step(["python", LOAD], folder)
        if subprocess.run(["git", "diff", "--quiet"], cwd=folder, check=False).returncode:
            yield step(["git", "commit", "--quiet", "-am", "Name the datasets of this laboratory"], folder)
    yield step(["deriva-ml-run"], folder)
    yield step(["deriva-ml-run", "+experiment=evaluate"], folder)
    yield step(["python", "src/scripts/trace_predictions.py"], folder)


if __name__ == "__main__":
    sys.exit(main())
