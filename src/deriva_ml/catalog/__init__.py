"""Work on whole catalogs: copy them or slices of them, bring their files here, and tell where they came from."""

from deriva_ml.reexport import from_stub

__getattr__, __dir__, __all__ = from_stub(__name__, __file__)
