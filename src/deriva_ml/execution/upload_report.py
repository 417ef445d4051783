"""The report of a commit under its known import path."""

from deriva_ml.records import UploadReport

__all__ = ["UploadReport"]
