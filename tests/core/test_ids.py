import pytest
from hypothesis import given
from hypothesis import strategies as st

from bascule.core.errors import Malformed
from bascule.core.ids import AgentId, cli_session, is_cron, main_session, parse_agent_id, parse_session_key

AGENT = AgentId("bruba-main")


@pytest.mark.parametrize("name", ["main", "Bruba-Main", "a", "0_x", "a" * 64])
def test_agent_ids_are_kept_in_lower_case(name):
    assert parse_agent_id(name) == name.lower()


@pytest.mark.parametrize("name", ["", "-a", "_a", "a b", "a/b", "../x", "a" * 65, "ä", "a\n", "K\u212a"])
def test_what_is_no_agent_id_is_refused(name):
    with pytest.raises(Malformed):
        parse_agent_id(name)


def test_a_bare_word_names_a_session_of_the_agent():
    assert parse_session_key("Work", AGENT) == "agent:bruba-main:work"
    assert parse_session_key(main_session(AGENT), AGENT) == main_session(AGENT)
    assert cli_session(AGENT) == "agent:bruba-main:cli"


@pytest.mark.parametrize(
    "key", ["", "agent:bruba-web:main", "agent:bruba-main", "agent:bruba-main:", "a b", "x:\x1b[m", "agent::x", "é"]
)
def test_another_agents_key_or_a_malformed_one_is_refused(key):
    with pytest.raises(Malformed):
        parse_session_key(key, AGENT)


@given(st.text(max_size=40))
def test_a_session_key_is_the_agents_own_or_refused(text):
    try:
        key = parse_session_key(text, AGENT)
    except Malformed:
        key = main_session(AGENT)
    assert key.startswith("agent:bruba-main:")


def test_scheduled_sessions_are_known_by_their_key():
    assert is_cron("agent:a:cron:j1")
    assert not is_cron("agent:a:main")
