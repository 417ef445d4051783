"""Entry point of the command that looks after local storage, under its known import path."""

from deriva_ml.reexport import later

__all__ = ["main"]

main = later("deriva_ml.cli.storage", "main")
