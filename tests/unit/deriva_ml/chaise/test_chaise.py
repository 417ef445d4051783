"""Annotations are checked, staged in the local model, and sent together, and nothing but they."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from deriva.core import tag

from deriva_ml import BuiltinTypes, ColumnDefinition, DerivaML, TableDefinition
from deriva_ml.ermrest.connect import Connection
from deriva_ml.ermrest.rows import escaped
from deriva_ml.errors import (
    DerivaMLConnectionError,
    DerivaMLOfflineError,
    DerivaMLReadOnlyError,
    DerivaMLTableNotFound,
    DerivaMLValidationError,
)
from deriva_ml.model import (
    ColumnDisplay,
    ColumnDisplayOptions,
    Context,
    Display,
    Facet,
    FacetList,
    ForeignKeyDefinition,
    InboundFK,
    OutboundFK,
    PreFormat,
    PseudoColumn,
    SortKey,
    TableDisplay,
    TableDisplayOptions,
    VisibleColumns,
    VisibleForeignKeys,
)

STRICT = "tag:isrd.isi.edu,2026:strict-preallocated-rid"
Lab = SimpleNamespace


@pytest.fixture
def ml(ml_catalog: Connection, tmp_path: Path) -> DerivaML:
    return DerivaML(ml_catalog.host, ml_catalog.catalog_id, working_dir=tmp_path / "work")


@pytest.fixture
def lab(ml: DerivaML, fresh: Callable[[str], str]) -> Lab:
    """Names of a table of subjects and one of scans of them, and of the foreign key between them."""
    subject, scan = fresh("Subject"), fresh("Scan")
    columns = [ColumnDefinition("Name"), ColumnDefinition("Age", BuiltinTypes.int4)]
    ml.create_table(TableDefinition(subject, columns))
    link = ForeignKeyDefinition(["Of"], "lab", subject, constraint_name=f"{scan}_Of_fkey")
    ml.create_table(
        TableDefinition(scan, [ColumnDefinition("Of"), ColumnDefinition("Score")], foreign_keys=[link])
    )
    return Lab(subject=subject, scan=scan, fkey=["lab", f"{scan}_Of_fkey"])


@pytest.fixture
def there(ml_catalog: Connection) -> Callable[..., dict[str, Any]]:
    """Annotations as the service has them now."""

    def read(table: str, column: str | None = None) -> dict[str, Any]:
        document = ml_catalog.schema_document()["schemas"]["lab"]["tables"][table]
        if column is None:
            return dict(document["annotations"])
        (found,) = [each for each in document["column_definitions"] if each["name"] == column]
        return dict(found["annotations"])

    return read


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What is asked of the catalog, as ``put /path``."""
    seen: list[str] = []
    original = Connection._request

    def noted(self: Connection, verb: str, path: str, *args: Any, **options: Any) -> Any:
        seen.append(f"{verb} {path}")
        return original(self, verb, path, *args, **options)

    monkeypatch.setattr(Connection, "_request", noted)
    return seen


def test_what_is_staged_is_sent_by_apply_and_read_back(
    ml: DerivaML, lab: Lab, there: Any, sent: list[str]
) -> None:
    age = PseudoColumn([OutboundFK(*lab.fkey), "Age"], markdown_name="Age of subject")
    set_ = {
        tag.display: ml.set_display_annotation(lab.scan, Display(name="Scans", comment="Of eyes")),
        tag.visible_columns: ml.set_visible_columns(
            lab.scan,
            VisibleColumns({"*": ["Score", age, lab.fkey, "RID"], "filter": FacetList([Facet("Score")])}),
        ),
        tag.table_display: ml.set_table_display(
            lab.scan,
            TableDisplay(
                {
                    "row_name": TableDisplayOptions(row_markdown_pattern="{{{Score}}}"),
                    "compact": TableDisplayOptions(row_order=[SortKey("RCT", descending=True), "Score"]),
                }
            ),
        ),
    }
    assert ml.set_display_annotation(lab.scan, {"name": "The score"}, column_name="Score") == {
        "name": "The score"
    }
    shown = ColumnDisplay({"*": ColumnDisplayOptions(pre_format=PreFormat("%.2f"))})
    assert ml.set_column_display(lab.scan, "Score", shown) == {"*": {"pre_format": {"format": "%.2f"}}}
    related = ml.set_visible_foreign_keys(lab.subject, VisibleForeignKeys({"detailed": [tuple(lab.fkey)]}))
    assert related == {"detailed": [lab.fkey]}
    assert set_[tag.visible_columns] == {
        "*": [
            "Score",
            {"source": [{"outbound": lab.fkey}, "Age"], "markdown_name": "Age of subject"},
            lab.fkey,
            "RID",
        ],
        "filter": {"and": [{"source": "Score"}]},
    }
    assert ml.get_table_annotations(lab.scan) == set_
    assert ml.get_column_annotations(lab.scan, "Score") == {
        tag.display: {"name": "The score"},
        tag.column_display: {"*": {"pre_format": {"format": "%.2f"}}},
    }
    assert sent == []
    assert (there(lab.scan), there(lab.scan, "Score"), there(lab.subject)) == ({}, {}, {})
    sent.clear()
    assert ml.apply_annotations() == {
        f"lab:{lab.scan}": [tag.display, tag.visible_columns, tag.table_display],
        f"lab:{lab.scan}:Score": [tag.display, tag.column_display],
        f"lab:{lab.subject}": [tag.visible_foreign_keys],
    }
    assert len(sent) == 6
    assert there(lab.scan) == set_
    assert there(lab.scan, "Score") == ml.get_column_annotations(lab.scan, "Score")
    assert there(lab.subject) == {tag.visible_foreign_keys: {"detailed": [lab.fkey]}}
    sent.clear()
    assert (ml.apply_annotations(), sent) == ({}, [])


def test_what_is_as_it_was_is_not_sent(ml: DerivaML, lab: Lab, sent: list[str]) -> None:
    ml.set_display_annotation(lab.scan, {"name": "One"})
    ml.apply_annotations()
    ml.set_display_annotation(lab.scan, {"name": "Two"})
    ml.set_display_annotation(lab.scan, {"name": "One"})
    sent.clear()
    assert (ml.apply_annotations(), sent) == ({}, [])


def test_what_others_annotated_meanwhile_stays(
    ml: DerivaML, lab: Lab, there: Any, ml_catalog: Connection
) -> None:
    ml.set_display_annotation(lab.scan, {"name": "Mine"})
    ml_catalog.put(f"/schema/lab/table/{lab.scan}/annotation/tag%3Ax%2C1%3Ay", json={"of": "others"})
    ml.apply_annotations()
    assert there(lab.scan) == {tag.display: {"name": "Mine"}, "tag:x,1:y": {"of": "others"}}


def test_none_takes_an_annotation_away(ml: DerivaML, lab: Lab, there: Any, ml_catalog: Connection) -> None:
    ml.set_display_annotation(lab.scan, {"name": "Mine"})
    ml.set_visible_columns(lab.scan, {"*": ["Score"]})
    ml.apply_annotations()
    assert ml.set_display_annotation(lab.scan, None) is None
    assert ml.set_visible_columns(lab.scan, None) is None
    assert ml.get_table_annotations(lab.scan) == {}
    # Someone else was faster with one of them.
    ml_catalog.delete(f"/schema/lab/table/{lab.scan}/annotation/{escaped(tag.display)}")
    assert ml.apply_annotations() == {f"lab:{lab.scan}": [tag.display, tag.visible_columns]}
    assert there(lab.scan) == {}


def test_an_interrupted_apply_goes_on(
    ml: DerivaML, lab: Lab, there: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    ml.set_display_annotation(lab.scan, {"name": "A"})
    ml.set_visible_columns(lab.scan, {"*": ["Score"]})
    put, calls = Connection.put, []

    def once(self: Connection, path: str, **options: Any) -> Any:
        calls.append(path)
        if len(calls) == 2:
            raise DerivaMLConnectionError("gone")
        return put(self, path, **options)

    with monkeypatch.context() as patched:
        patched.setattr(Connection, "put", once)
        with pytest.raises(DerivaMLConnectionError):
            ml.apply_annotations()
    assert ml.apply_annotations() == {f"lab:{lab.scan}": [tag.visible_columns]}
    assert there(lab.scan) == {tag.display: {"name": "A"}, tag.visible_columns: {"*": ["Score"]}}


def test_what_is_handed_out_is_a_copy(ml: DerivaML, lab: Lab) -> None:
    given = {"*": ["Score"]}
    for handed in (ml.set_visible_columns(lab.scan, given), ml.get_table_annotations(lab.scan)):
        assert handed is not None
        handed.clear()
    given["*"].append("nonsense")
    ml.add_visible_column(lab.scan, "*", "RID").clear()
    assert ml.get_table_annotations(lab.scan) == {tag.visible_columns: {"*": ["Score", "RID"]}}


def test_refreshing_discards_what_is_staged(ml: DerivaML, lab: Lab) -> None:
    ml.set_display_annotation(lab.scan, {"name": "Never"})
    ml.refresh_schema()
    assert (ml.get_table_annotations(lab.scan), ml.apply_annotations()) == ({}, {})
    ml.set_display_annotation(lab.scan, {"name": "Never"})
    assert pickle.loads(pickle.dumps(ml)).apply_annotations() == {}


@pytest.mark.parametrize("what", ["table", "column"])
def test_what_was_dropped_is_not_annotated(ml: DerivaML, lab: Lab, what: str) -> None:
    ml.set_display_annotation(lab.scan, {"name": "Never"}, column_name="Score")
    if what == "table":
        ml._session.drop_table(lab.scan)
    else:
        ml._session.table(lab.scan).columns["Score"].drop()
    assert ml.apply_annotations() == {}


def test_snapshots_and_offline_work_refuse_to_apply(ml: DerivaML, lab: Lab, ml_catalog: Connection) -> None:
    past = ml.catalog_snapshot(ml_catalog.schema_document()["snaptime"])
    past.set_display_annotation("Dataset", {"name": "Then"})
    with pytest.raises(DerivaMLReadOnlyError, match=r"Cannot apply annotations: .* is a snapshot"):
        past.apply_annotations()
    assert past.get_table_annotations("Dataset")[tag.display] == {"name": "Then"}
    ml.refresh_schema()
    offline = DerivaML(ml.host_name, ml.catalog_id, working_dir=ml.working_dir, mode="offline")
    offline.set_visible_columns(lab.scan, {"*": ["Score", lab.fkey]})
    offline.set_visible_foreign_keys(lab.subject, {"*": [lab.fkey]})
    with pytest.raises(DerivaMLOfflineError, match="apply annotations offline"):
        offline.apply_annotations()


# One entry -----------------------------------------------------------------------------------------------------------


def test_entries_are_added_removed_and_ordered(ml: DerivaML, lab: Lab) -> None:
    ml.set_visible_columns(lab.scan, {"compact": ["Score", "RID"]})
    assert ml.add_visible_column(lab.scan, "compact", tuple(lab.fkey), position=0) == [
        lab.fkey,
        "Score",
        "RID",
    ]
    assert ml.add_visible_column(lab.scan, Context.compact, "RCT")[-1] == "RCT"
    assert ml.add_visible_column(lab.scan, "compact", "RMT", position=-1)[-1] == "RMT"
    assert ml.remove_visible_column(lab.scan, "compact", "RMT") == [lab.fkey, "Score", "RID", "RCT"]
    assert ml.remove_visible_column(lab.scan, "compact", -1) == [lab.fkey, "Score", "RID"]
    assert ml.reorder_visible_columns(lab.scan, "compact", ["RID", lab.fkey, "Score"])[0] == "RID"
    assert ml.reorder_visible_columns(lab.scan, "compact", [2, 0, 1]) == ["Score", "RID", lab.fkey]
    assert ml.get_table_annotations(lab.scan)[tag.visible_columns] == {"compact": ["Score", "RID", lab.fkey]}


def test_related_tables_are_added_removed_and_ordered(ml: DerivaML, lab: Lab) -> None:
    path = PseudoColumn([InboundFK(*lab.fkey), "RID"], markdown_name="Its scans")
    ml.set_visible_foreign_keys(lab.subject, {"*": []})
    assert ml.add_visible_foreign_key(lab.subject, "detailed", lab.fkey) == [lab.fkey]
    assert ml.add_visible_foreign_key(lab.subject, "detailed", path, 0) == [path.to_dict(), lab.fkey]
    assert ml.reorder_visible_foreign_keys(lab.subject, "detailed", [1, 0]) == [lab.fkey, path.to_dict()]
    assert ml.remove_visible_foreign_key(lab.subject, "detailed", path) == [lab.fkey]
    assert ml.get_table_annotations(lab.subject)[tag.visible_foreign_keys] == {
        "*": [],
        "detailed": [lab.fkey],
    }


def test_a_context_without_a_list_begins_with_what_it_shows(ml: DerivaML, lab: Lab) -> None:
    ml.set_visible_columns(lab.scan, {"*": ["Score"], "compact": ["RID"], "entry/edit": "compact"})
    assert ml.add_visible_column(lab.scan, "detailed", "RID") == ["Score", "RID"]
    assert ml.add_visible_column(lab.scan, "compact/brief/inline", "RCT") == ["RID", "RCT"]
    assert ml.add_visible_column(lab.scan, "entry/edit", "Score") == ["RID", "Score"]
    assert ml.add_visible_column(lab.scan, "*", "Of") == ["Score", "Of"]


def test_facets_are_a_list_of_their_own(ml: DerivaML, lab: Lab) -> None:
    ml.set_visible_columns(lab.scan, {"*": ["RID"], "filter": FacetList()})
    assert ml.add_visible_column(lab.scan, "filter", Facet("Score", open=True)) == [
        {"source": "Score", "open": True}
    ]
    assert ml.get_table_annotations(lab.scan)[tag.visible_columns]["filter"] == {
        "and": [{"source": "Score", "open": True}]
    }
    with pytest.raises(DerivaMLValidationError, match=r"'RID' .* is no facet; give Facet\('RID'\)"):
        ml.add_visible_column(lab.scan, "filter", "RID")


def test_annotations_of_the_library_can_be_changed(ml: DerivaML) -> None:
    for name in ("Dataset", "Execution", "Workflow", "Execution_Asset", "Asset_Type"):
        annotation = ml.get_table_annotations(name)[tag.visible_columns]
        assert ml.set_visible_columns(name, annotation) == annotation
        assert ml.add_visible_column(name, "compact/brief", "RMB")[-1] == "RMB"
        shown = ml.get_table_annotations(name).get(tag.visible_foreign_keys)
        assert ml.set_visible_foreign_keys(name, shown) == shown
        display = ml.get_table_annotations(name).get(tag.table_display)
        assert ml.set_table_display(name, display) == display
    ml.refresh_schema()


def test_a_list_with_entries_that_are_gone_can_be_mended(ml: DerivaML, lab: Lab) -> None:
    others = {"*": ["Gone", "Score", "Lost"], "compact/of/newer/pages": ["Gone"]}
    ml._session.table(lab.scan).annotations[tag.visible_columns] = others
    assert ml.add_visible_column(lab.scan, "*", "RID") == ["Gone", "Score", "Lost", "RID"]
    assert ml.remove_visible_column(lab.scan, "*", "Gone") == ["Score", "Lost", "RID"]
    assert ml.reorder_visible_columns(lab.scan, "*", [1, 0, 2]) == ["Lost", "Score", "RID"]
    assert ml.get_table_annotations(lab.scan)[tag.visible_columns] == {
        "*": ["Lost", "Score", "RID"],
        "compact/of/newer/pages": ["Gone"],
    }


def _lists(lab: Lab) -> dict[str, tuple[Callable[[DerivaML], Any], str]]:
    return {
        "column": (
            lambda ml: ml.add_visible_column(lab.scan, "*", "Scor"),
            "'Scor' is no column of .*mean 'Score'",
        ),
        "table": (lambda ml: ml.add_visible_column("Scam", "*", "RID"), "no table 'Scam'"),
        "context": (
            lambda ml: ml.add_visible_column(lab.scan, "compat", "RID"),
            "no context .*mean 'compact'",
        ),
        "twice": (
            lambda ml: ml.add_visible_column(lab.scan, "*", "Score"),
            "'Score' is in context .* already",
        ),
        "far": (lambda ml: ml.add_visible_column(lab.scan, "*", "RID", 9), "no position 9: .* from 0 to 2"),
        "true": (lambda ml: ml.add_visible_column(lab.scan, "*", "RID", True), "no position True"),
        "fkey": (
            lambda ml: ml.add_visible_column(lab.scan, "*", ["lab", "no"]),
            r"no key or foreign key lab:",
        ),
        "number": (lambda ml: ml.add_visible_column(lab.scan, "*", 1.5), "1.5 in context .* is no entry"),
        "absent": (
            lambda ml: ml.remove_visible_column(lab.scan, "*", "RCT"),
            "does not show 'RCT'; it shows 'Score'",
        ),
        "index": (lambda ml: ml.remove_visible_column(lab.scan, "*", 2), "no index 2"),
        "lacks": (lambda ml: ml.reorder_visible_columns(lab.scan, "*", ["Of"]), "lacks 'Score'"),
        "again": (lambda ml: ml.reorder_visible_columns(lab.scan, "*", [0, 0]), "has 'Score' twice"),
        "order": (lambda ml: ml.reorder_visible_columns(lab.scan, "*", "Of"), "must be a list of all 2"),
        "none": (
            lambda ml: ml.add_visible_foreign_key(lab.subject, "*", lab.fkey),
            r"no list.*ml.set_visible_foreign_keys\(\)",
        ),
        "facets": (lambda ml: ml.add_visible_column(lab.scan, "filter", Facet("Of")), "lists of '\\*' only"),
        "inbound": (
            lambda ml: ml.set_visible_foreign_keys(lab.scan, {"*": [lab.fkey]}),
            "no foreign key to lab:.*there are none",
        ),
        "related column": (
            lambda ml: ml.set_visible_foreign_keys(lab.subject, {"*": ["Name"]}),
            "no entry; give .schema, constraint. or a PseudoColumn",
        ),
        "path": (
            lambda ml: ml.set_visible_columns(lab.scan, {"*": [PseudoColumn([InboundFK(*lab.fkey), "Age"])]}),
            "no foreign key to lab:",
        ),
        "end of path": (
            lambda ml: ml.set_visible_columns(
                lab.scan, {"*": [PseudoColumn([OutboundFK(*lab.fkey), "Agee"])]}
            ),
            "'Agee' is no column of lab:Subject.*mean 'Age'",
        ),
        "no path": (
            lambda ml: ml.set_visible_columns(lab.scan, {"*": [{"source": [{"outbound": lab.fkey}]}]}),
            "is no path",
        ),
        "no step": (
            lambda ml: ml.set_visible_columns(lab.scan, {"*": [{"source": ["Of", "Age"]}]}),
            "'Of' in a source .* is no step",
        ),
        "filter": (
            lambda ml: ml.set_visible_columns(
                lab.scan, {"*": [{"source": [{"filter": "Scor", "operand_pattern": "1"}, "RID"]}]}
            ),
            "'Scor' is no column",
        ),
        "both": (
            lambda ml: ml.set_visible_columns(lab.scan, {"*": [{"source": "Of", "sourcekey": "of"}]}),
            "both source",
        ),
        "key of a source": (
            lambda ml: ml.set_visible_columns(lab.scan, {"*": [{"sourcekey": "of"}]}),
            "'of' is no source of source-definitions",
        ),
        "nothing shown": (lambda ml: ml.set_visible_columns(lab.scan, {"*": [{}]}), "shows nothing"),
        "no list": (lambda ml: ml.set_visible_columns(lab.scan, {"*": 5}), "must be a list"),
        "no facets": (lambda ml: ml.set_visible_columns(lab.scan, {"filter": ["Of"]}), "must be FacetList"),
        "no dict": (lambda ml: ml.set_visible_columns(lab.scan, ["Of"]), "must be a dict"),
        "column twice": (lambda ml: ml.set_visible_columns(lab.scan, {"*": ["Of", "Of"]}), "'Of' is twice"),
        "other context": (
            lambda ml: ml.set_visible_columns(lab.scan, {"*": "compat"}),
            "'compat' is no context",
        ),
        "unknown key": (lambda ml: ml.set_table_display(lab.scan, {"*": {"row_ordre": []}}), "row_ordre"),
        "order of rows": (
            lambda ml: ml.set_table_display(lab.scan, {"*": {"row_order": [{"column": "Scor"}]}}),
            "'Scor' is no column",
        ),
        "order of a word": (
            lambda ml: ml.set_table_display(lab.scan, {"*": {"row_order": "Of"}}),
            "would not understand.*'Of' is not of type 'array'",
        ),
        "kind": (
            lambda ml: ml.set_display_annotation(lab.scan, {"name": 5}),
            "5 is not of type 'string'.*at name",
        ),
        "class": (
            lambda ml: ml.set_table_display(lab.scan, VisibleColumns()),
            "VisibleColumns is written into visible-columns, not into table-display",
        ),
        "no column": (
            lambda ml: ml.set_column_display(lab.scan, "Scor", {"*": {}}),
            "no column 'Scor'; it has .*mean 'Score'",
        ),
        "option": (
            lambda ml: ml.set_display_annotation(lab.scan, {"nam": "Scans"}),
            "'nam' is no option of display of .*mean 'name'",
        ),
        "engine": (
            lambda ml: ml.set_column_display(
                lab.scan, "Score", {"*": {"markdown_pattern": "", "template_engine": "jinja"}}
            ),
            "'jinja' is not one of",
        ),
        "strict": (lambda ml: ml.set_strict_preallocated_rid(lab.scan, "yes"), "True or False"),  # type: ignore[arg-type]
    }


NAMES = list(_lists(Lab(subject="", scan="", fkey=[])))


@pytest.mark.parametrize("wrong", NAMES)
def test_what_is_wrong_is_said_and_nothing_is_staged(ml: DerivaML, lab: Lab, wrong: str) -> None:
    ml.set_visible_columns(lab.scan, {"*": ["Score", "Of"]})
    before = copy.deepcopy([ml.get_table_annotations(name) for name in (lab.scan, lab.subject)])
    call, message = _lists(lab)[wrong]
    with pytest.raises((DerivaMLValidationError, DerivaMLTableNotFound), match=message):
        call(ml)
    assert [ml.get_table_annotations(name) for name in (lab.scan, lab.subject)] == before
    assert ml.get_column_annotations(lab.scan, "Score") == {}


# Templates, and RIDs in advance --------------------------------------------------------------------------------------


def test_templates_are_told_what_they_can_use(ml: DerivaML, lab: Lab) -> None:
    told = ml.get_handlebars_template_variables(lab.scan)
    assert (told["schema"], told["table"]) == ("lab", lab.scan)
    columns = {column["name"]: column for column in told["columns"]}
    assert columns["Score"] == {
        "name": "Score",
        "type": "text",
        "template": "{{{Score}}}",
        "raw": "{{{_Score}}}",
    }
    keys = {tuple(key["constraint"]): key for key in told["foreign_keys"]}
    of = keys[tuple(lab.fkey)]
    stem = f"$fkeys.lab.{lab.fkey[1]}"
    assert (of["table"], of["columns"]) == (lab.subject, ["Of"])
    assert (of["row_name"], of["link"]) == (f"{{{{{{{stem}.rowName}}}}}}", f"{{{{{{{stem}.uri.detailed}}}}}}")
    assert of["values"]["Age"] == f"{{{{{{{stem}.values.Age}}}}}}"
    assert "$catalog.snapshot" in told["special"]


def test_rows_of_strict_tables_are_inserted_under_leased_rids(
    ml: DerivaML, fresh: Callable[[str], str], there: Any, sent: list[str]
) -> None:
    terms = fresh("Term")
    ml.create_vocabulary(terms)
    assert ml.is_strict_preallocated_rid(terms) is False
    assert ml.set_strict_preallocated_rid(terms) is True
    assert ml.is_strict_preallocated_rid(terms) is True
    assert ml.apply_annotations() == {f"lab:{terms}": [STRICT]}
    assert there(terms)[STRICT] is True
    sent.clear()
    rid = ml.add_term(terms, "one", "the first").rid
    assert [line for line in sent if "RID_Lease" in line] == ["post /entity/public:ERMrest_RID_Lease"]
    (row,) = [row for row in ml.get_table_as_dict(terms) if row["Name"] == "one"]
    leased = {row["RID"] for row in ml.get_table_as_dict(("public", "ERMrest_RID_Lease"))}
    assert row["RID"] == rid
    assert rid not in leased
    assert ml.set_strict_preallocated_rid(terms, strict=False) is False
    ml.apply_annotations()
    assert STRICT not in there(terms)
    sent.clear()
    ml.add_term(terms, "two", "the second")
    assert not [line for line in sent if "RID_Lease" in line]
