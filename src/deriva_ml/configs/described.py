"""Lists in configurations that carry a description."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from hydra_zen import builds


class DescribedList(list[Any]):
    """A list that knows what it is for.

    Parameters
    ----------
    items : iterable, optional
    description : str

    Examples
    --------
    >>> weights = DescribedList(["3JSE"], "Pre-trained weights")
    >>> weights[0], weights.description
    ('3JSE', 'Pre-trained weights')
    """

    def __init__(self, items: Iterable[Any] | None = None, description: str = "") -> None:
        super().__init__(items or ())
        self.description = description

    def __repr__(self) -> str:
        return f"DescribedList({list(self)!r}, {self.description!r})"

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (list(self), self.description)


def with_description(items: Iterable[Any], description: str) -> Any:
    """Declare a list of datasets or assets together with what it is for.

    Parameters
    ----------
    items : iterable
        RIDs, `DatasetSpecConfig`, `AssetSpecConfig`, `LocalFileConfig`.
    description : str
        Markdown.

    Returns
    -------
    type
        Configuration that makes a `DescribedList`.

    Examples
    --------
    >>> assets_store(with_description(["3WMG"], "Weights after 50 epochs"), name="weights")  # doctest: +SKIP
    """
    return builds(DescribedList, items=list(items), description=description)
