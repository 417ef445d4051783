"""The maker of wide tables under its known import path."""

from deriva_ml.dataset.denormalize import Denormalizer

__all__ = ["Denormalizer"]
