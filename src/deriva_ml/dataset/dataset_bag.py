"""Where `DatasetBag` is known to be."""

from deriva_ml.dataset.bag import BagCatalog, DatasetBag

__all__ = ["BagCatalog", "DatasetBag"]
