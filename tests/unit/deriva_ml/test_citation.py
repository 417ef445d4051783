"""Citations and addresses of pages."""

from __future__ import annotations

import pytest

from deriva_ml.citation import chaise_url, cite, record_url
from deriva_ml.errors import DerivaMLException, DerivaMLTableNotFound
from deriva_ml.session import Session
from deriva_ml.vocabulary import list_terms


def test_citations(ml_session: Session) -> None:
    term = list_terms(ml_session, "Asset_Role")[0]
    start = f"https://{ml_session.connection.authority}/id/{ml_session.connection.catalog_id}/{term.rid}"
    permanent = cite(ml_session, term.rid)
    assert permanent == f"{start}@{ml_session.connection.snaptime()}"
    assert cite(ml_session, {"RID": term.rid}, current=True) == start
    assert cite(ml_session, permanent) == permanent
    assert cite(ml_session, "0000") == "dry-run (rid=0000)"


@pytest.mark.parametrize(
    "entity", ["ZZ-ZZZZ", "", {"Name": "x"}, {"RID": None}, "https://elsewhere.org/id/1/1-A"]
)
def test_what_cannot_be_cited(ml_session: Session, entity: object) -> None:
    with pytest.raises(DerivaMLException):
        cite(ml_session, entity)  # type: ignore[arg-type]


def test_pages(ml_session: Session) -> None:
    host = f"https://{ml_session.connection.authority}/chaise"
    assert chaise_url(ml_session, "Dataset") == f"{host}/recordset/#1/deriva-ml:Dataset"
    assert record_url(ml_session, "Dataset", "1-A") == f"{host}/record/#1/deriva-ml:Dataset/RID=1-A"
    with pytest.raises(DerivaMLTableNotFound):
        chaise_url(ml_session, "Nonsense")
