"""File specifications under their known import path."""

from deriva_ml.asset.filespec import FileSpec

__all__ = ["FileSpec"]
