"""Frozen values, equal when their fields are: what requests are read into, and what is planned of them.

A class made by `dataclasses` writes and compiles its methods whenever a program starts, which of a hundred classes is a
twentieth of a short run. Those of msgspec are made in C, at once, and so are their objects. Declare the fields of a value
as those of a dataclass, and repeat ``frozen=True`` for type checkers::

    class Null(Frozen, frozen=True):
        column: QName
"""

from msgspec import Struct, field

__all__ = ["Frozen", "field"]


class Frozen(Struct, frozen=True):
    """A value whose fields are set once; see the module."""
