"""deriva-py's query builder in all its forms, as its own pages show them."""

import string

import pytest
from deriva.core.datapath import (
    All,
    Any,
    Array,
    ArrayD,
    Avg,
    Bin,
    Cnt,
    CntD,
    DataPathException,
    Max,
    Min,
    Sum,
    simple_denormalization_with_whole_entities,
)
from deriva.core.ermrest_model import Column, ForeignKey, Key, Schema, Table, builtin_types, tag

COUNT = 40


@pytest.fixture(scope="module")
def study(server):
    catalog = server.create_ermrest_catalog(name="study")
    model = catalog.getCatalogModel()
    lab = model.create_schema(Schema.define("lab"))
    text, number = builtin_types.text, builtin_types.int4
    lab.create_table(
        Table.define(
            "Project",
            [Column.define("Investigator", text), Column.define("Num", number)],
            [Key.define(["Investigator", "Num"])],
        )
    )
    lab.create_table(
        Table.define(
            "Experiment",
            [
                Column.define("Name", text, nullok=False),
                Column.define("Amount", number),
                Column.define("Time", builtin_types.timestamptz),
                Column.define("Day", builtin_types.date),
                Column.define("Score", builtin_types.float8),
                Column.define("Tags", builtin_types["text[]"]),
                Column.define("Info", builtin_types.jsonb),
                Column.define("Empty", text),
                Column.define("Project Investigator", text),
                Column.define("Project_Num", number),
            ],
            [Key.define(["Name"])],
            [
                ForeignKey.define(
                    ["Project Investigator", "Project_Num"], "lab", "Project", ["Investigator", "Num"]
                )
            ],
            annotations={
                tag.visible_columns: {
                    "*": ["Name", ["lab", "Experiment_Project Investigator_Project_Num_fkey"]]
                }
            },
        )
    )
    lab.create_table(
        Table.define(
            "Run",
            [Column.define("Of", text), Column.define("Before", text), Column.define("Nr.", number)],
            fkey_defs=[
                ForeignKey.define(["Of"], "lab", "Experiment", ["Name"]),
                ForeignKey.define(["Before"], "lab", "Experiment", ["Name"]),
            ],
        )
    )
    model.create_schema(Schema.define("other, schéma")).create_table(
        Table.define(
            "Täble:x y",
            [Column.define("cölumn / 1", text), Column.define("self", text)],
            [Key.define(["cölumn / 1"])],
        )
    )
    _fill(catalog)
    yield catalog
    catalog.delete_ermrest_catalog(really=True)


def _fill(catalog):
    tables = catalog.getPathBuilder().schemas["lab"].tables
    tables["Project"].insert([{"Investigator": "Smith", "Num": 1}, {"Investigator": "Jones", "Num": 2}])
    tables["Experiment"].insert(
        [
            {
                "Name": f"{number:02d}",
                "Amount": number % 10,
                "Time": f"2024-01-01T{number % 24:02d}:00:00.0",
                "Day": f"2024-02-{number % 28 + 1:02d}",
                "Score": number / 4,
                "Tags": ["all", f"t{number % 3}"],
                "Info": {"number": number},
                "Project Investigator": "Smith" if number % 2 else None,
                "Project_Num": 1 if number % 2 else None,
            }
            for number in range(COUNT)
        ]
    )
    tables["Run"].insert(
        [{"Of": f"{number:02d}", "Before": f"{number + 1:02d}", "Nr.": number} for number in range(10)]
    )


@pytest.fixture
def builder(study):
    return study.getPathBuilder()


@pytest.fixture
def lab(builder):
    return builder.schemas["lab"].tables


@pytest.fixture
def experiment(lab):
    return lab["Experiment"]


def names(rows):
    return [row["Name"] for row in rows]


ALL = [f"{number:02d}" for number in range(COUNT)]


def test_entities_come_in_the_order_of_their_insertion(experiment):
    assert names(experiment.entities()) == names(experiment.path.entities()) == ALL
    assert experiment.path.entities().fetch(limit=3)[0]["Tags"] == ["all", "t0"]
    assert len(experiment.entities().limit(5).fetch()) == 5


@pytest.mark.parametrize(
    ("make", "wanted"),
    [
        (lambda t: t.Name == "07", ["07"]),
        (lambda t: t.Name == Any("07", "08", "nope"), ["07", "08"]),
        (lambda t: t.Tags == All("all", "t2"), [n for n in ALL if int(n) % 3 == 2]),
        (lambda t: t.Tags == Any("t1", "t2"), [n for n in ALL if int(n) % 3]),
        (lambda t: t.Amount < 1, ["00", "10", "20", "30"]),
        (lambda t: t.Amount <= 0, ["00", "10", "20", "30"]),
        (lambda t: t.Amount > 8, ["09", "19", "29", "39"]),
        (lambda t: t.Amount >= 9, ["09", "19", "29", "39"]),
        (lambda t: t.Empty == None, ALL),  # noqa: E711 - this is how the builder spells it
        (lambda t: t.Empty != None, []),  # noqa: E711
        (lambda t: t.Name != "00", ALL[1:]),
        (lambda t: t.column_definitions["Project Investigator"] != "Jones", ALL[1::2]),
        (lambda t: t.Name.regexp("^0[1-3]$"), ["01", "02", "03"]),
        (lambda t: t.Name.ciregexp("^0[1-3]$"), ["01", "02", "03"]),
        (lambda t: t.Time.regexp("T05:"), ["05", "29"]),
        (lambda t: t.Name.regexp(Any("^00", "^01")), ["00", "01"]),
        (lambda t: t.Time == "2024-01-01T05:00:00+00:00", ["05", "29"]),
        (lambda t: t.Day > "2024-02-27", ["27"]),
        (lambda t: (t.Amount == 1) & (t.Name < "15"), ["01", "11"]),
        (lambda t: (t.Name == "00") | (t.Name == "01") & (t.Amount == 9), ["00"]),
        (lambda t: ~(t.Name > "01"), ["00", "01"]),
        (lambda t: ~((t.Name > "01") | (t.Amount == 0)), ["01"]),
        (lambda t: (t.Score == 1.25) | (t.Score == 2), ["05", "08"]),
    ],
)
def test_filters(experiment, make, wanted):
    assert names(experiment.path.filter(make(experiment)).entities()) == wanted
    assert names(experiment.filter(make(experiment)).entities()) == wanted


def test_filters_add_up(experiment):
    path = experiment.path.filter(experiment.Amount > 3).filter(experiment.Amount < 5)
    assert names(path.entities()) == ["04", "14", "24", "34"]


def test_projections(experiment):
    (row,) = experiment.path.filter(experiment.Name == "03").attributes(
        experiment.Name,
        experiment.Amount.alias("How many"),
        experiment.column_definitions["Project Investigator"],
    )
    assert row == {"Name": "03", "How many": 3, "Project Investigator": "Smith"}


def test_an_alias_may_hold_any_character(experiment):
    strange = experiment.Name.alias(string.punctuation + " é漢")
    rows = experiment.path.attributes(strange).sort(strange)
    assert [row[string.punctuation + " é漢"] for row in rows] == ALL


def test_whole_tables_in_projections(lab):
    path = lab["Project"].path.link(lab["Experiment"])
    (row,) = path.attributes(path.Project, path.Experiment.Name).fetch(limit=1)
    assert {name.partition(":")[0] for name in row} == {"Project", "Name"}
    assert row["Project:Investigator"] == "Smith"


def test_sort_and_limit(experiment):
    path = experiment.path
    rows = path.entities().sort(experiment.Amount.desc, experiment.Name).fetch(limit=5)
    assert names(rows) == ["09", "19", "29", "39", "08"]
    renamed = experiment.Amount.alias("a")
    rows = path.attributes(experiment.Name, renamed).sort(renamed, experiment.Name.desc)
    assert names(rows)[:4] == ["30", "20", "10", "00"]
    investigator, num = experiment.column_definitions["Project Investigator"], experiment.Project_Num
    assert path.entities().sort(investigator)[-1]["Project Investigator"] is None
    assert path.entities().sort(num.desc)[0]["Project_Num"] is None


def test_links(lab):
    project, experiment, run = lab["Project"], lab["Experiment"], lab["Run"]
    path = project.path.link(experiment)
    assert names(path.entities()) == ALL[1::2]
    assert len(path.Project.entities()) == 1
    on = (project.Investigator == experiment.column_definitions["Project Investigator"]) & (
        project.Num == experiment.Project_Num
    )
    assert names(project.path.link(experiment, on=on).entities()) == ALL[1::2]
    back = experiment.path.link(run, on=(experiment.Name == run.Of))
    assert [row["Nr."] for row in back.entities()] == list(range(10))
    path = run.path.link(experiment, on=(run.Before == experiment.Name)).link(project)
    assert [row["Investigator"] for row in path.entities()] == ["Smith"]
    assert names(run.path.link(experiment).entities()) == ALL[:11]  # by either of two foreign keys
    with pytest.raises(DataPathException, match=r"(?i)no foreign key"):
        project.path.link(run).entities().fetch()


def test_links_by_foreign_keys_of_the_model(study, lab):
    model = study.getCatalogModel()
    table = model.table("lab", "Run")
    of, before = (
        next(key for key in table.foreign_keys if key.foreign_key_columns[0].name == name)
        for name in ("Of", "Before")
    )
    assert names(lab["Run"].path.link(lab["Experiment"], on=of).entities()) == ALL[:10]
    assert names(lab["Run"].path.link(lab["Experiment"], on=before).entities()) == ALL[1:11]
    assert [
        row["Nr."]
        for row in lab["Experiment"]
        .path.filter(lab["Experiment"].Name == "03")
        .link(lab["Run"], on=before)
        .entities()
    ] == [2]


def test_the_same_table_twice(lab):
    run, experiment = lab["Run"], lab["Experiment"]
    path = run.path.link(experiment, on=(run.Of == experiment.Name))
    path.context = path.Run
    path.link(experiment, on=(run.Before == experiment.Name))
    rows = path.attributes(
        path.Run.column_definitions["Nr."],
        path.Experiment.Name.alias("of"),
        path.Experiment2.Name.alias("before"),
    )
    assert sorted((row["Nr."], row["of"], row["before"]) for row in rows) == [
        (number, f"{number:02d}", f"{number + 1:02d}") for number in range(10)
    ]


def test_aliases(lab):
    experiment = lab["Experiment"]
    one, two = experiment.alias("one"), experiment.alias("two: 2")
    path = one.path.filter(one.Name == "05").link(two, on=(one.Amount == two.Amount))
    assert names(path.entities()) == ["05", "15", "25", "35"]
    rows = path.attributes(one.Name.alias("first"), two.Name.alias("second"))
    assert [(row["first"], row["second"]) for row in rows] == [
        ("05", name) for name in ("05", "15", "25", "35")
    ]


@pytest.mark.parametrize(("kind", "count"), [("", 20), ("left", 40), ("right", 21), ("full", 41)])
def test_outer_joins(lab, kind, count):
    project, experiment = lab["Project"], lab["Experiment"]
    on = (experiment.column_definitions["Project Investigator"] == project.Investigator) & (
        experiment.Project_Num == project.Num
    )
    path = experiment.path.link(project, on=on, join_type=kind)
    groups = path.groupby(path.Experiment.Name.alias("n"), path.Project.Investigator.alias("i")).attributes(
        Cnt(path.Experiment.RID).alias("c")
    )
    assert len(groups.fetch()) == count


def test_contexts(lab):
    path = lab["Project"].path.link(lab["Experiment"])
    assert [row["Investigator"] for row in path.Project.entities()] == ["Smith"]
    assert len(path.entities()) == 20
    path.context = path.Project
    path.filter(path.Project.Investigator == "Jones")
    assert len(path.entities()) == 0


def test_paths_are_merged_and_composed(builder, lab):
    project, experiment, run = lab["Project"], lab["Experiment"], lab["Run"]
    base = experiment.path.filter(experiment.Amount == 1)
    more = base.Experiment.path  # the same instance
    assert more is base
    left = project.path.link(experiment)
    right = experiment.path.link(run, on=(experiment.Name == run.Of))
    composed = builder.compose(left, right)
    assert [row["Nr."] for row in composed.entities()] == [1, 3, 5, 7, 9]
    assert len(left.entities()) == 20
    assert [row["Nr."] for row in left.merge(right).entities()] == [1, 3, 5, 7, 9]


def test_aggregates(experiment):
    (row,) = experiment.path.aggregates(
        Min(experiment.Amount).alias("min"),
        Max(experiment.Time).alias("max"),
        Sum(experiment.Amount).alias("sum"),
        Avg(experiment.Amount).alias("avg"),
        Cnt(experiment.Empty).alias("none"),
        Cnt(experiment).alias("all"),
        CntD(experiment.Amount).alias("distinct"),
        Array(experiment.Amount).alias("array"),
        ArrayD(experiment.Amount).alias("array_d"),
        Array(experiment).alias("rows"),
    )
    assert row["min"] == 0 and row["max"] == "2024-01-01T23:00:00+00:00"
    assert (row["sum"], row["avg"], row["none"], row["all"], row["distinct"]) == (180, 4.5, 0, COUNT, 10)
    assert row["array"] == [number % 10 for number in range(COUNT)]
    assert row["array_d"] == list(range(10))
    assert names(row["rows"]) == ALL
    with pytest.raises(DataPathException):
        experiment.path.aggregates(Min(experiment.Info).alias("x")).fetch()


def test_groups(lab):
    experiment = lab["Experiment"]
    groups = experiment.groupby(experiment.Amount.alias("k")).attributes(
        Cnt(experiment.RID).alias("n"),
        Array(experiment.Name).alias("names"),
        Max(experiment.Score).alias("top"),
    )
    rows = groups.sort(experiment.Amount.alias("k").desc).fetch(limit=2)
    assert list(rows) == [
        {"k": 9, "n": 4, "names": ["09", "19", "29", "39"], "top": 9.75},
        {"k": 8, "n": 4, "names": ["08", "18", "28", "38"], "top": 9.5},
    ]
    assert (
        len(experiment.groupby(experiment.Amount, experiment.Day).attributes(Cnt(experiment.RID).alias("n")))
        == 40
    )
    path = lab["Project"].path.link(experiment)
    (row,) = path.groupby(path.Project.Investigator).attributes(
        CntD(path.Experiment.RID).alias("n"), path.Project.Num
    )
    assert row == {"Investigator": "Smith", "n": 20, "Num": 1}


def test_bins(experiment):
    bins = Bin(experiment.Amount, 3, minval=0, maxval=9).alias("bin")
    rows = experiment.groupby(bins).attributes(Cnt(experiment.RID).alias("n")).sort(bins)
    assert [(row["bin"][0], row["n"]) for row in rows] == [(1, 12), (2, 12), (3, 12), (4, 4)]
    found = Bin(experiment.Score, 2).alias("bin")
    rows = experiment.groupby(found).attributes(Cnt(experiment.RID).alias("n")).sort(found)
    assert sum(row["n"] for row in rows) == COUNT
    days = Bin(experiment.Day, 4).alias("bin")
    rows = experiment.groupby(days).attributes(Cnt(experiment.RID).alias("n")).sort(days)
    assert rows[0]["bin"][:2] == [1, rows[0]["bin"][1]] and rows[0]["bin"][1].startswith("2024-02-01")
    assert sum(row["n"] for row in rows) == COUNT


def test_denormalized(lab):
    experiment = lab["Experiment"]
    rows = list(experiment.denormalize(context_name="*"))
    assert names(rows) == ALL
    assert (rows[0]["F"], rows[1]["F"][0]["Investigator"]) == ([None], "Smith")
    assert len(list(experiment.denormalize())) == COUNT
    whole = list(experiment.path.denormalize(heuristic=simple_denormalization_with_whole_entities))
    project = whole[1]["Experiment_Project Investigator_Project_Num_fkey"]
    assert names(whole) == ALL and project == rows[1]["F"]


def test_strange_names(builder):
    table = builder.schemas["other, schéma"].tables["Täble:x y"]
    column = table.column_definitions["cölumn / 1"]
    value = "a/b&c=d;e,f(g)?h#i%j+k é\n\"'"
    (made,) = table.insert([{"cölumn / 1": value}])
    try:
        assert made["cölumn / 1"] == value
        assert [row["RID"] for row in table.filter(column == value).entities()] == [made["RID"]]
        (changed,) = table.update([{"RID": made["RID"], "cölumn / 1": value * 2}])
        assert changed == {"RID": made["RID"], "cölumn / 1": value * 2}
    finally:
        table.path.filter(made["RID"] == table.RID).delete()
    assert len(table.entities()) == 0


def test_writes(lab):
    run = lab["Run"]
    made = list(run.insert([{"Of": "00", "Nr.": 100 + number} for number in range(2500)]))
    try:
        assert [row["Nr."] for row in made] == [100 + number for number in range(2500)]
        changed = run.update(
            [{"RID": row["RID"], "Nr.": -row["Nr."], "Of": "01"} for row in made], targets=["Nr."]
        )
        assert {row["Nr."] for row in changed} == {-row["Nr."] for row in made}
        number = run.column_definitions["Nr."]
        assert {row["Of"] for row in run.filter(number < 0).entities()} == {"00"}
        assert len(list(run.update([{"Nr.": -100, "Of": "02"}], correlation={"Nr."}))) == 1
    finally:
        run.filter(run.column_definitions["Nr."] < 0).delete()
    assert len(run.entities()) == 10
    assert list(run.insert([])) == list(run.update([])) == []


def test_rows_keep_their_system_columns_when_told(study, lab):
    """Rows of one table, RID and all, in another table."""
    model = study.getCatalogModel()
    copy = model.schemas["lab"].create_table(
        Table.define("Copy", [Column.define(name, builtin_types.text) for name in ("Name", "Empty")])
    )
    try:
        table = study.getPathBuilder().schemas["lab"].tables["Copy"]
        rows = [
            {name: row[name] for name in ("RID", "RCT", "RCB", "Name", "Empty")}
            for row in lab["Experiment"].entities().fetch(limit=5)
        ]
        made = table.insert(rows, nondefaults={"RID", "RCT", "RCB"}, add_system_defaults=False)
        assert [{name: row[name] for name in rows[0]} for row in made] == rows
    finally:
        copy.drop()


def test_errors_say_why(lab):
    experiment = lab["Experiment"]
    with pytest.raises(DataPathException, match="duplicate key"):
        experiment.insert([{"Name": "00"}])
    with pytest.raises(DataPathException, match="violates foreign key"):
        lab["Run"].insert([{"Of": "nowhere"}])
    with pytest.raises(DataPathException, match="is still referenced"):
        experiment.filter(experiment.Name == "00").delete()
    with pytest.raises(DataPathException):
        experiment.path.filter(experiment.Amount == "many").entities().fetch()
    assert list(experiment.insert([{"Name": "00"}], on_conflict_skip=True)) == []
