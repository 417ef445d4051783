"""Where `CacheStatus` is known to be."""

from deriva_ml.dataset.estimate import CacheStatus

__all__ = ["CacheStatus"]
