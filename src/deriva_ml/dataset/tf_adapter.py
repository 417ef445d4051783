"""Samples of a bag as a TensorFlow dataset; the only place that knows TensorFlow."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from deriva_ml.dataset.samples import Samples
from deriva_ml.errors import DerivaMLException
from deriva_ml.extras import needed


def as_tf_dataset(samples: Samples, output_signature: Any = None) -> Any:
    """Make a ``tf.data.Dataset`` of samples.

    Parameters
    ----------
    samples : Samples
        Samples and targets must be what TensorFlow takes: numbers, text, arrays, tensors or structures of these.
    output_signature : nested structure of tf.TypeSpec, optional
        Of one item; by default that of the first sample, whose first axes may differ in length in others.

    Raises
    ------
    DerivaMLDependencyError
        If TensorFlow is not installed.
    DerivaMLException
        If there is no sample to take the signature from, or TensorFlow does not take what it consists of.
    """
    with needed("as_tf_dataset needs", "tf"):
        import tensorflow as tf
    if output_signature is None:
        output_signature = _signature(tf, samples)

    def items() -> Iterator[Any]:
        yield from samples

    return tf.data.Dataset.from_generator(items, output_signature=output_signature)


def _signature(tf: Any, samples: Samples) -> Any:
    if not len(samples):
        raise DerivaMLException(
            f"There is no sample of {samples.table_name[1]} to take a signature from; pass output_signature=."
        )
    try:
        return _spec(tf, samples[0])
    except (TypeError, ValueError) as error:
        raise DerivaMLException(
            f"TensorFlow does not take a sample of {samples.table_name[1]} ({error}); turn samples and targets into "
            "numbers, text or arrays with sample_loader= and target_transform=."
        ) from error


def _spec(tf: Any, value: Any) -> Any:
    # As in tf.data itself, tuples and dicts are structures while a list is one tensor.
    if isinstance(value, tuple):
        return tuple(_spec(tf, each) for each in value)
    if isinstance(value, dict):
        return {name: _spec(tf, each) for name, each in value.items()}
    tensor = tf.convert_to_tensor(value)
    # Files of one table rarely have the same size.
    shape = [None] * min(1, tensor.shape.rank) + list(tensor.shape[1:])
    return tf.TensorSpec(shape=shape, dtype=tensor.dtype)
