"""Arithmetic of split and subsample: how many, and which indices."""

from __future__ import annotations

import random
from collections.abc import Hashable, Mapping, Sequence

from deriva_ml.errors import DerivaMLValidationError

MISSING = "__missing__"
"""Class of rows without a label when these are kept."""

Size = int | float | None
"""A fraction in (0, 1) or a count of at least 1; None leaves the part to the others."""


def count_of(size: float, total: int, name: str) -> int:
    """Turn a size into a number of items.

    Raises
    ------
    ValueError
        If `size` is not positive, or comes to less than one item.
    """
    if isinstance(size, bool) or not isinstance(size, int | float) or not size > 0:
        raise DerivaMLValidationError(
            f"{name} must be a fraction between 0 and 1 or a count of at least 1, not {size!r}."
        )
    if size >= 1 and size != int(size):
        raise DerivaMLValidationError(f"{name}={size!r} is neither a fraction nor a whole count.")
    count = round(size * total) if size < 1 else int(size)
    if count < 1:
        raise DerivaMLValidationError(f"{name}={size!r} of {total} items leaves none; use a larger size.")
    return count


def part_sizes(
    total: int, *, test_size: float, train_size: Size = None, val_size: Size = None
) -> dict[str, int]:
    """Number of items of each part of a split.

    Parameters
    ----------
    total : int
        Items there are.
    test_size, train_size, val_size : float or int, optional
        Fractions (in (0, 1)) or counts. `train_size` None takes what is left; `val_size` None makes no such part.

    Returns
    -------
    dict
        ``Training``, ``Validation`` (only if asked for) and ``Testing``, in this order.

    Raises
    ------
    ValueError
        If a part is empty, or they need more items than there are.

    Examples
    --------
    >>> part_sizes(10, test_size=0.2)
    {'Training': 8, 'Testing': 2}
    """
    testing = count_of(test_size, total, "test_size")
    validation = None if val_size is None else count_of(val_size, total, "val_size")
    rest = total - testing - (validation or 0)
    training = rest if train_size is None else count_of(train_size, total, "train_size")
    if training < 1 or training > rest:
        raise DerivaMLValidationError(
            f"{total} items cannot be split into {max(training, 0)} for training, {validation or 0} for validation "
            f"and {testing} for testing."
        )
    parts = {"Training": training}
    if validation is not None:
        parts["Validation"] = validation
    return {**parts, "Testing": testing}


def random_parts(
    total: int, sizes: Mapping[str, int], *, seed: int, shuffle: bool = True
) -> dict[str, list[int]]:
    """Draw disjoint index lists of the given sizes, the same ones for the same seed.

    Parameters
    ----------
    total : int
        Indices are drawn from ``range(total)``.
    sizes : mapping
        Part name to number of indices.
    seed : int
    shuffle : bool
        False takes them in order, part by part.
    """
    _check_fit(total, sizes)
    order = list(range(total))
    if shuffle:
        random.Random(seed).shuffle(order)
    parts: dict[str, list[int]] = {}
    start = 0
    for name, size in sizes.items():
        parts[name] = sorted(order[start : start + size])
        start += size
    return parts


def stratified_parts(
    labels: Sequence[Hashable], sizes: Mapping[str, int], *, seed: int
) -> dict[str, list[int]]:
    """Draw disjoint index lists in which every class has its share.

    Each part holds exactly as many indices as asked, and of every class the share that the class has in all of
    `labels`, up to rounding.

    Parameters
    ----------
    labels : sequence
        Class of each item.
    sizes : mapping
        Part name to number of indices.
    seed : int

    Raises
    ------
    ValueError
        If the parts need more items than there are.
    """
    total = len(labels)
    _check_fit(total, sizes)
    generator = random.Random(seed)
    classes: dict[Hashable, list[int]] = {}
    for index, label in enumerate(labels):
        classes.setdefault(label, []).append(index)
    left = {label: classes[label] for label in sorted(classes, key=repr)}
    for indices in left.values():
        generator.shuffle(indices)
    parts: dict[str, list[int]] = {}
    for name, size in sizes.items():
        quota = apportion({label: len(indices) for label, indices in left.items()}, size)
        parts[name] = sorted(index for label, number in quota.items() for index in left[label][:number])
        left = {label: indices[quota[label] :] for label, indices in left.items()}
    return parts


def apportion(counts: Mapping[Hashable, int], size: int) -> dict[Hashable, int]:
    """Divide `size` over classes in proportion to `counts`, by largest remainder, never above the count of a class."""
    total = sum(counts.values())
    if size > total:
        raise DerivaMLValidationError(f"{size} items cannot be taken from {total}.")
    if not total:
        return dict.fromkeys(counts, 0)
    quota = {label: count * size // total for label, count in counts.items()}
    by_remainder = sorted(
        counts, key=lambda label: (-(counts[label] * size % total), -counts[label], repr(label))
    )
    short = size - sum(quota.values())
    for label in by_remainder:
        if short == 0:
            break
        if quota[label] < counts[label]:
            quota[label] += 1
            short -= 1
    return quota


def class_labels(values: Sequence[Hashable], missing: str, column: str) -> tuple[list[int], list[Hashable]]:
    """Decide what becomes of items without a label.

    Parameters
    ----------
    values : sequence
        Label of each item; None where there is none.
    missing : {"error", "drop", "include"}
        ``include`` puts them in a class of their own.
    column : str
        Where the labels come from, for the message.

    Returns
    -------
    positions : list of int
        Positions in `values` that are kept.
    labels : list
        Their labels.

    Raises
    ------
    ValueError
        If labels are missing and `missing` is ``error``, or is not one of the three.
    """
    check_missing(missing)
    absent = sum(value is None for value in values)
    if absent and missing == "error":
        raise DerivaMLValidationError(
            f"{absent} of {len(values)} items have no {column}; pass stratify_missing='drop' or 'include'."
        )
    if missing == "drop":
        positions = [index for index, value in enumerate(values) if value is not None]
        return positions, [values[index] for index in positions]
    return list(range(len(values))), [MISSING if value is None else value for value in values]


def check_missing(missing: str) -> None:
    """Check what shall become of items without a label; raises a `ValueError` if it is not one of the three."""
    if missing not in ("error", "drop", "include"):
        raise DerivaMLValidationError(
            f"stratify_missing must be 'error', 'drop' or 'include', not {missing!r}."
        )


def _check_fit(total: int, sizes: Mapping[str, int]) -> None:
    if sum(sizes.values()) > total:
        raise DerivaMLValidationError(f"Parts of {dict(sizes)} items need more than the {total} there are.")
