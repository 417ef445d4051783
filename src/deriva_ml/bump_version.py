"""Entry point of the command that gives a project its next version, under its known import path."""

from deriva_ml.reexport import later

__all__ = ["main"]

main = later("deriva_ml.cli.bump", "main")
