"""``deriva-ml-install-kernel``: make this environment a kernel of Jupyter."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from deriva_ml.cli.program import program
from deriva_ml.cli.text import examples


def install_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of the command."""
    parser.add_argument(
        "--install-local",
        action="store_true",
        help="into this environment, where only its own Jupyter finds it (default: for you, in every Jupyter)",
    )
    examples(parser, parser.prog, f"{parser.prog} --install-local")


def install(arguments: argparse.Namespace) -> int:
    """Install the kernel, and say how it is called."""
    # Here, so that --help stays instant.
    from deriva_ml.runner.kernel import install_kernel

    kernel = install_kernel(local=arguments.install_local)
    print(f"Installed kernel {kernel.name!r}, shown as {kernel.display_name!r}, in {kernel.folder}")
    return 0


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; returns its exit status.

    Parameters
    ----------
    argv : sequence of str, optional
        Without the name of the program; `sys.argv` by default.
    """
    description = "Make this environment a kernel of Jupyter."
    return program("deriva-ml-install-kernel", description, install_arguments, install, argv)


if __name__ == "__main__":
    sys.exit(main())
