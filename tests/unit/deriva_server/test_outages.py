"""The log of a server during an outage."""

from deriva_server.outages import Outages


def test_once_at_the_beginning_each_minute_and_at_the_end():
    now = [0.0]
    outages, said = Outages(lambda: now[0]), []
    for _ in range(150):
        said.append(outages.failed("no database"))
        list(outages.answered())  # requests that need no database
        now[0] += 1.0
    assert [text for text in said if text] == [
        "no database",
        "no database (and 59 more requests meanwhile)",
        "no database (and 59 more requests meanwhile)",
    ]
    assert outages.failed("disk full") == "disk full"
    now[0] += 11.0
    assert list(outages.answered()) == [
        "29 more requests were answered so until it was over: no database",
    ]
    assert list(outages.answered()) == []
    assert outages.failed("no database") == "no database"
    now[0] += 61.0
    assert outages.failed("no database") == "no database"
    now[0] += 11.0
    assert list(outages.answered()) == []
