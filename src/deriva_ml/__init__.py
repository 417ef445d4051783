"""Trace every result to the code, data and run that made it."""

from deriva_ml.reexport import from_stub

__getattr__, __dir__, __all__ = from_stub(__name__, __file__)
