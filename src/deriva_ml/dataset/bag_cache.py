"""Where `CacheStatus` is known to be."""

from deriva_ml.names import CacheStatus

__all__ = ["CacheStatus"]
