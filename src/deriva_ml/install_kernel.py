"""Make this environment a kernel of Jupyter: ``python -m deriva_ml.install_kernel``."""

import sys

from deriva_ml.cli.kernel import main

__all__ = ["main"]

if __name__ == "__main__":
    sys.exit(main())
