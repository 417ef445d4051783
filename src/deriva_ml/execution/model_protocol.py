"""What a model must be, under its known import path."""

from deriva_ml.reexport import from_stub

__getattr__, __dir__, __all__ = from_stub(__name__, __file__)
