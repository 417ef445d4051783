"""Entry point of the command that checks the page of the schema, under its known import path."""

from deriva_ml.reexport import later

__all__ = ["main"]

main = later("deriva_ml.cli.schema", "main")
