"""A catalog with something of everything, and what must be equal in a copy of it."""

from deriva.core import urlquote
from deriva.core.ermrest_model import Column, ForeignKey, Key, Schema, Table, builtin_types

TYPES = {
    "boolean": [True, False],
    "int2": [-32768, 32767],
    "int4": [-2147483648, 2147483647],
    "int8": [-9223372036854775808, 9223372036854775807],
    "float4": [0.5, -1.5e30],
    "float8": [0.1, 1.7976931348623157e308],
    "text": ["a,\"b\"\n'c'\t;", "", "ünï漢🎈"],
    "longtext": ["long " * 1000],
    "markdown": ["**x**"],
    "color_rgb_hex": ["#00ff7F"],
    "ermrest_uri": ["https://example.org/?a=b&c"],
    "ermrest_curie": ["x:1"],
    "date": ["2024-02-29", "0001-01-01"],
    "timestamp": ["2024-02-29T23:59:59.999999"],
    "timestamptz": ["2024-02-29T23:59:59.000001+00:00"],
    "json": [{"a": [1, None, "x"]}, "text", 5, False, None],
    "jsonb": [{"a": {"b": []}}, [], "", 0],
    "text[]": [["a", "", 'b"c', "ü,}"], []],
    "int4[]": [[1, -2]],
    "float8[]": [[0.1, 2.5]],
    "boolean[]": [[True, False]],
    "date[]": [["2024-01-01"]],
    "timestamptz[]": [["2024-02-29T23:59:59.000001+00:00"]],
    "jsonb[]": [[{"a": 1}, "x", 1]],
}
"""Type to values that must come back as they are."""

LAB, STRANGE = "lab", "Schéma: a/b, (c)"
EGG, HEN, KINDS, PAIR = "Egg", "Hen & co", "All kinds", "Pair"


def build(catalog):
    """Give a catalog schemas that refer to each other, in circles too; every type; annotations, access lists; rows."""
    model = catalog.getCatalogModel()
    me = catalog.get_authn_session().json()["client"]["id"]
    lab = model.create_schema(
        Schema.define(LAB, "The lab", annotations={"tag:example.org,2024:s": {"x": [1]}})
    )
    strange = model.create_schema(Schema.define(STRANGE, acls={"select": ["*"], "enumerate": ["*"]}))
    text = builtin_types.text
    hen = strange.create_table(
        Table.define(
            HEN,
            [
                Column.define("Näme", text, nullok=False, comment="Wie sie heißt"),
                Column.define("Of egg", text),
            ],
            [Key.define(["Näme"], comment="One name each", annotations={"tag:example.org,2024:k": True})],
            comment="Hens",
            annotations={"tag:example.org,2024:t": {"d": {"e": None}}},
        )
    )
    lab.create_table(
        Table.define(
            EGG,
            [
                Column.define(
                    "Code", text, nullok=False, default="none", annotations={"tag:example.org,2024:c": 1}
                ),
                Column.define("Hen", text, acls={"select": ["*"]}),
                Column.define("Weight", builtin_types.float8, default=1.5),
                Column.define("Count", builtin_types.serial4, nullok=False),
                Column.define("Notes", builtin_types.jsonb, default={"a": 1}),
            ],
            [Key.define(["Code"]), Key.define(["Code", "Hen"], constraint_name="both of them")],
            [
                ForeignKey.define(
                    ["Hen"],
                    STRANGE,
                    HEN,
                    ["Näme"],
                    on_update="CASCADE",
                    on_delete="SET NULL",
                    comment="Who laid it",
                    acls={"insert": [me], "update": ["*"]},
                    annotations={"tag:example.org,2024:f": "x"},
                )
            ],
            acls={"select": ["*"], "enumerate": ["*"]},
            acl_bindings={
                "guard": {
                    "types": ["update", "delete"],
                    "projection": ["RCB"],
                    "projection_type": "acl",
                    "scope_acl": ["*"],
                }
            },
        )
    )
    hen.create_fkey(ForeignKey.define(["Of egg"], LAB, EGG, ["Code"], on_delete="CASCADE"))
    strange.create_table(
        Table.define(
            PAIR,
            [Column.define("A", text), Column.define("B", text), Column.define("Before", text)],
            [Key.define(["A", "B"])],
            [
                ForeignKey.define(["A", "B"], LAB, EGG, ["Code", "Hen"], constraint_name='pair of "both"'),
                ForeignKey.define(["Before"], STRANGE, PAIR, ["RID"]),
            ],
        )
    )
    lab.create_table(Table.define(KINDS, [Column.define(f"c {name}", builtin_types[name]) for name in TYPES]))
    _fill(catalog)


def _fill(catalog):
    # deriva-py's backup leaves empty tables out, and its restore insists on this one
    catalog.post(
        "/entity/public:ERMrest_Group?onconflict=skip", json=[{"ID": "group", "Display_Name": "Group"}]
    )
    schemas = catalog.getPathBuilder().schemas
    eggs, hens = schemas[LAB].tables[EGG], schemas[STRANGE].tables[HEN]
    hens.insert([{"Näme": name} for name in ("Berta", "Größe/2", "c&d=1")])
    eggs.insert(
        [{"Code": f"e{number}", "Hen": "Berta", "Notes": None} for number in range(30)],
        defaults={"Count", "Weight"},
    )
    hens.update([{"Näme": "Größe/2", "Of egg": "e7"}], correlation={"Näme"})
    pairs = schemas[STRANGE].tables[PAIR]
    (first,) = pairs.insert([{"A": "e1", "B": "Berta"}])
    pairs.insert([{"A": "e2", "B": "Berta", "Before": first["RID"]}])
    most = max(map(len, TYPES.values()))
    catalog.post(
        f"/entity/{LAB}:{urlquote(KINDS)}",
        json=[
            {f"c {name}": values[index] for name, values in TYPES.items() if index < len(values)}
            for index in range(most + 1)
        ],
    )


def rows(catalog):
    """Rows of every table that is not the server's own, without what a copy sets anew."""
    model = catalog.getCatalogModel()
    return {
        (schema.name, table.name): [
            {name: value for name, value in row.items() if name not in ("RMT", "RMB")}
            for row in catalog.get(f"/entity/{urlquote(schema.name)}:{urlquote(table.name)}@sort(RID)").json()
        ]
        for schema in model.schemas.values()
        if schema.name != "public"
        for table in schema.tables.values()
    }


def documents(catalog, *, policy=True):
    """The model as leaves by their path, without RIDs and rights; `policy` includes the lists of who may."""
    dropped = {"RID", "rights", "snaptime", "features"} | (set() if policy else {"acls", "acl_bindings"})
    leaves = {}

    def walk(path, value):
        if isinstance(value, dict) and value:
            for name, inner in value.items():
                if name not in dropped:
                    walk(f"{path}/{name}", inner)
        elif isinstance(value, list) and value and all(isinstance(each, dict) for each in value):
            # columns have an order; keys and foreign keys have names
            for number, inner in enumerate(value):
                walk(f"{path}/{inner['names'][0] if 'names' in inner else number}", inner)
        else:
            leaves[path] = value

    walk("", catalog.get("/schema").json())
    return leaves
