"""Run a notebook under an execution: ``python -m deriva_ml.run_notebook``; the function that notebooks call is in `deriva_ml.execution`."""

import sys

from deriva_ml.cli.notebook import main

__all__ = ["main"]

if __name__ == "__main__":
    sys.exit(main())
