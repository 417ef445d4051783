"""What a bag offers to trainers."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from deriva_ml.dataset.samples import Samples, Sampling, Targets
from deriva_ml.dataset.tf_adapter import as_tf_dataset
from deriva_ml.dataset.torch_adapter import as_torch_dataset
from deriva_ml.dataset.wide import WideView

if TYPE_CHECKING:
    from deriva_ml.model.graph import CatalogModel
    from deriva_ml.rows.local import LocalReader
    from deriva_ml.rows.reader import Row

Loader = Callable[[Path | None, "Row"], Any]


class TrainingView(WideView):
    """A dataset on this disk, as samples to train on."""

    if TYPE_CHECKING:

        @property
        def reader(self) -> LocalReader: ...

        @property
        def model(self) -> CatalogModel: ...

        def reach(self) -> dict[tuple[str, str], set[str]]: ...

    def as_torch_dataset(
        self,
        element_type: Any,
        *,
        sample_loader: Loader | None = None,
        transform: Callable[[Any], Any] | None = None,
        targets: Targets = None,
        target_transform: Callable[[Any], Any] | None = None,
        missing: str = "error",
        reachable: bool = True,
    ) -> Any:
        """Rows of a table, with their files and labels, as a PyTorch dataset.

        An item is ``(sample, rid)``, with `targets` ``(sample, target, rid)``. One target is given as a
        `FeatureRecord`, several as a dict of them; `target_transform` makes of it what the loss takes.

        Parameters
        ----------
        element_type : str or Table
            The table whose rows are samples.
        sample_loader : callable, optional
            Makes a sample of the path of a file (None where the table holds no files) and the row. Needed for asset
            tables; for others the row itself is the default.
        transform : callable, optional
            Changes a loaded sample.
        targets : list of str, or dict, optional
            Features that are learnt; a dict gives selectors for those with several values per row.
        target_transform : callable, optional
            Changes the target; not asked where there is none.
        missing : {"error", "skip", "unknown"}
            What becomes of rows without a value: refused, left out, or given None.
        reachable : bool
            Whether all rows that belong to the dataset are samples, or only its own members.

        Returns
        -------
        torch.utils.data.Dataset

        Raises
        ------
        DerivaMLDependencyError
            If PyTorch is not installed.
        DerivaMLException
            If there is no such table or feature, files need a `sample_loader`, or values are missing and that is an
            error; the message names up to 20 RIDs.

        Examples
        --------
        >>> bag.as_torch_dataset(  # doctest: +SKIP
        ...     "Image", sample_loader=lambda path, row: read_image(path),
        ...     targets=["Digit"], target_transform=lambda record: int(record.Digit_Class),
        ... )
        """
        how = Sampling(sample_loader, transform, targets, target_transform, missing, reachable)
        return as_torch_dataset(Samples(self, element_type, how))

    def as_tf_dataset(
        self,
        element_type: Any,
        *,
        sample_loader: Loader | None = None,
        transform: Callable[[Any], Any] | None = None,
        targets: Targets = None,
        target_transform: Callable[[Any], Any] | None = None,
        missing: str = "error",
        reachable: bool = True,
        output_signature: Any = None,
    ) -> Any:
        """Rows of a table, with their files and labels, as a TensorFlow dataset.

        Parameters and errors as for `as_torch_dataset`; samples and targets must be what TensorFlow takes.

        Parameters
        ----------
        output_signature : nested structure of tf.TypeSpec, optional
            Of one item; by default that of the first sample.

        Returns
        -------
        tf.data.Dataset
        """
        how = Sampling(sample_loader, transform, targets, target_transform, missing, reachable)
        return as_tf_dataset(Samples(self, element_type, how), output_signature)
