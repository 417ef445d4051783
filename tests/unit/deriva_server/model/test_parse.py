"""Documents of new elements: whatever is wrong in them is said."""

import pytest

from deriva_server.errors import BadRequest
from deriva_server.model.parse import foreign_key


@pytest.mark.parametrize("odd", [["S"], {"S": 1}, 5, None, True])
@pytest.mark.parametrize("part", ["schema_name", "table_name"])
@pytest.mark.parametrize("side", ["foreign_key_columns", "referenced_columns"])
def test_tables_of_a_foreign_key_are_named_by_strings(side, part, odd):
    document = {
        "foreign_key_columns": [{"schema_name": "S", "table_name": "T", "column_name": "a"}],
        "referenced_columns": [{"schema_name": "S", "table_name": "U", "column_name": "b"}],
    }
    document[side][0][part] = odd
    with pytest.raises(BadRequest, match="table"):
        foreign_key(document)
