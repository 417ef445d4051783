"""Version labels of datasets: which one is current, which comes next."""

from __future__ import annotations

from collections.abc import Iterable

from deriva_ml.errors import DerivaMLDatasetNotFound, DerivaMLNotFoundError, DerivaMLValidationError
from deriva_ml.names import DatasetVersion, VersionPart

FIRST_RELEASE = DatasetVersion(0, 1, 0)
"""Version of a dataset that has just been created."""


def latest(labels: Iterable[DatasetVersion]) -> DatasetVersion | None:
    """Return the current version: the greatest label, released or not; None without labels."""
    return max(labels, default=None)


def latest_release(labels: Iterable[DatasetVersion]) -> DatasetVersion | None:
    """Return the greatest released label, None where nothing is released."""
    return max((label for label in labels if not label.is_devrelease), default=None)


def next_dev(labels: Iterable[DatasetVersion]) -> DatasetVersion:
    """Return the label that a change of content gives.

    Parameters
    ----------
    labels : iterable of DatasetVersion
        All versions of the dataset.

    Returns
    -------
    DatasetVersion
        ``<last release>.post1.dev1``, or the next number of a dev period that is open.

    Raises
    ------
    DerivaMLValidationError
        If there are no labels.

    Examples
    --------
    >>> next_dev([DatasetVersion(0, 1)])
    DatasetVersion('0.1.0.post1.dev1')
    >>> next_dev([DatasetVersion(0, 1), DatasetVersion("0.1.0.post1.dev4")])
    DatasetVersion('0.1.0.post1.dev5')
    """
    labels = list(labels)
    current = latest(labels)
    if current is None:
        raise DerivaMLValidationError("A dataset without any version cannot change; create it anew.")
    if current.dev is not None:
        base = str(current).rpartition(".dev")[0]
        return DatasetVersion(f"{base}.dev{current.dev + 1}")
    return DatasetVersion(f"{current.major}.{current.minor}.{current.patch}.post1.dev1")


def next_release(labels: Iterable[DatasetVersion], part: VersionPart) -> DatasetVersion:
    """Return the label of the next release: the last released one with `part` raised."""
    return (latest_release(labels) or DatasetVersion(0)).next_release(part)


def without_version(dataset_rid: str) -> DerivaMLDatasetNotFound:
    """The error of whoever comes upon what is left of a creation that was interrupted."""
    return DerivaMLDatasetNotFound(
        dataset_rid,
        f"Dataset {dataset_rid} has no version; its creation was interrupted. Create it again.",
    )


def choose(
    labels: Iterable[DatasetVersion], wanted: DatasetVersion | None, dataset_rid: str
) -> DatasetVersion:
    """Return the version that was asked for.

    Parameters
    ----------
    labels : iterable of DatasetVersion
        All versions of the dataset.
    wanted : DatasetVersion, optional
        None stands for the last release, or the current version where nothing is released.
    dataset_rid : str
        For the message.

    Raises
    ------
    DerivaMLNotFoundError
        If there is no such version; the message lists those there are.
    """
    labels = sorted(labels)
    if wanted is None:
        chosen = latest_release(labels) or latest(labels)
        if chosen is None:
            raise without_version(dataset_rid)
        return chosen
    if wanted not in labels:
        listed = ", ".join(str(label) for label in labels) or "none"
        raise DerivaMLNotFoundError(
            f"Dataset {dataset_rid} has no version {wanted}. Available versions: {listed}."
        )
    return wanted
