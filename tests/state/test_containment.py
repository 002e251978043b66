import asyncio

import pytest
from tests.simulators import Time

from bascule.core.errors import BasculeError
from bascule.core.ids import AgentId
from bascule.state.connection import Database
from bascule.state.containment import SCHEMA, Containment
from bascule.state.migrations import migrate

AGENT, OTHER = AgentId("bruba-main"), AgentId("bruba-web")


@pytest.fixture
def database(tmp_path):
    opened = Database(tmp_path / "bascule.db")
    migrate(opened, (SCHEMA,))
    yield opened
    opened.close()


def test_containment_outlives_the_process_that_set_it(database):
    asyncio.run(Containment(database, Time()).contain(AGENT, "canary touched"))
    after = Containment(database, Time())
    assert (after.reason(AGENT), after.reason(OTHER)) == ("canary touched", "")
    asyncio.run(after.release(AGENT))
    assert Containment(database, Time()).reason(AGENT) == ""


def test_the_first_reason_stays(database):
    flags = Containment(database, Time())
    asyncio.run(flags.contain(AGENT, "first"))
    asyncio.run(flags.contain(AGENT, "second"))
    assert flags.reason(AGENT) == Containment(database, Time()).reason(AGENT) == "first"


def test_an_agent_stays_contained_when_the_disk_does_not_take_it(database):
    flags = Containment(database, Time())
    database.close()
    with pytest.raises(BasculeError):
        asyncio.run(flags.contain(AGENT, "now"))
    assert flags.reason(AGENT) == "now"
    with pytest.raises(BasculeError):
        asyncio.run(flags.release(AGENT))
    assert flags.reason(AGENT) == "now"
