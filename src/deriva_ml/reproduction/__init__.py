"""Run an execution again from what it recorded, and compare what comes of it."""

from deriva_ml.reexport import from_stub

__getattr__, __dir__, __all__ = from_stub(__name__, __file__)
