"""``deriva-ml-run`` under the address that its users know."""

import sys

from deriva_ml.cli.run import main

__all__ = ["main"]

if __name__ == "__main__":
    sys.exit(main())
