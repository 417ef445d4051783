"""The interactive screen of ``deriva-ml-storage``."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

from textual.app import App, ComposeResult
from textual.binding import BindingType
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import DataTable, Footer, Header, Label

from deriva_ml.cli.kept import Item, remove
from deriva_ml.cli.stored import HEADINGS, SORTS, cells
from deriva_ml.cli.text import size
from deriva_ml.errors import DerivaMLException


class Question(ModalScreen[bool]):
    """Asks for a yes or a no."""

    CSS = "Question { align: center middle; } #box { width: 70; height: auto; border: thick $error; padding: 1 2; }"
    BINDINGS: ClassVar[list[BindingType]] = [
        ("y", "answer(True)", "Yes"),
        ("n,escape", "answer(False)", "No"),
    ]

    def __init__(self, text: str) -> None:
        super().__init__()
        self._text = text

    def compose(self) -> ComposeResult:
        """Show the question."""
        with Vertical(id="box"):
            yield Label(self._text, markup=False)
            yield Label("y: yes    n: no")

    def action_answer(self, answer: bool) -> None:
        """Go back with the answer."""
        self.dismiss(answer)


class StorageScreen(App[None]):
    """A table of what is stored; entries are marked and removed.

    Parameters
    ----------
    find : callable
        Gives what there is now.
    """

    TITLE = "deriva-ml storage"
    BINDINGS: ClassVar[list[BindingType]] = [
        ("space", "mark", "Mark"),
        ("d", "delete", "Delete"),
        ("s", "sort", "Sort"),
        ("r", "refresh_list", "Refresh"),
        ("q", "quit", "Quit"),
    ]

    def __init__(self, find: Callable[[], list[Item]]) -> None:
        super().__init__()
        self._find = find
        self._orders = [*SORTS]
        self._order = "size"
        self._items: dict[str, Item] = {}
        self._marked: set[str] = set()

    def compose(self) -> ComposeResult:
        """Lay out the screen."""
        yield Header()
        yield DataTable(cursor_type="row", zebra_stripes=True)
        yield Label("", id="said", markup=False)
        yield Footer()

    def on_mount(self) -> None:
        """Fill the table."""
        self.query_one(DataTable).add_columns("", *HEADINGS)
        self.action_refresh_list()

    def action_refresh_list(self) -> None:
        """Look at the disk again."""
        self._items = {str(item.folder): item for item in self._find()}
        self._marked &= set(self._items)
        self._show()

    def action_sort(self) -> None:
        """Take the next order."""
        self._order = self._orders[(self._orders.index(self._order) + 1) % len(self._orders)]
        self._show()

    def action_mark(self) -> None:
        """Mark the entry under the cursor, or no longer."""
        if (key := self._at_cursor()) is not None:
            self._marked ^= {key}
            self._show()

    def action_delete(self) -> None:
        """Ask, and remove what is marked, else what is under the cursor."""
        key = self._at_cursor()
        wanted = [self._items[each] for each in sorted(self._marked) or ([] if key is None else [key])]
        if not wanted:
            return
        named = "\n".join(
            f"{item.kind} {item.rid or item.folder.name}, {size(item.size)}" for item in wanted[:10]
        )
        more = f"\n… and {len(wanted) - 10} more" if len(wanted) > 10 else ""

        def answered(yes: bool | None) -> None:
            if yes:
                self._remove(wanted)

        self.push_screen(Question(f"Remove for ever?\n{named}{more}"), answered)

    def _remove(self, wanted: list[Item]) -> None:
        freed, refused = 0, []
        for item in wanted:
            try:
                freed += remove(item)
            except DerivaMLException as error:
                refused.append(str(error))
        self._marked.clear()
        self.action_refresh_list()
        self._say("\n".join([f"{size(freed)} freed.", *refused]))

    def _at_cursor(self) -> str | None:
        rows = self.query_one(DataTable)
        return (
            None if not rows.row_count else rows.coordinate_to_cell_key(rows.cursor_coordinate).row_key.value
        )

    def _show(self) -> None:
        rows = self.query_one(DataTable)
        at = rows.cursor_row
        rows.clear()
        for key, item in sorted(self._items.items(), key=lambda pair: SORTS[self._order](pair[1])):
            rows.add_row("*" if key in self._marked else "", *cells(item), key=key)
        rows.move_cursor(row=min(at, max(len(self._items) - 1, 0)))
        total = size(sum(item.size for item in self._items.values()))
        self.sub_title = f"{total}, by {self._order}"

    def _say(self, text: str) -> None:
        self.query_one("#said", Label).update(text)
