import pytest

from bascule.core.errors import Malformed, Unavailable
from bascule.host.agent_names import agent_names, lent_directories, named_profiles
from bascule.host.policy_files import load
from bascule.host.templates import TEAMS, team_template


def written(home, text):
    (home / "bascule.json5").write_text(text)
    (home / "bascule.json5").chmod(0o644)
    return home


@pytest.mark.parametrize("team", TEAMS)
def test_the_names_are_those_of_the_compiled_policy(tmp_path, team):
    written(tmp_path, team_template(team).files["bascule.json5"])
    assert set(agent_names(tmp_path)) == set(load(tmp_path).policy.agents)


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("{}", ()),
        ("[]", ()),
        ("{agents: 3}", ()),
        ("{agents: {list: {}, entries: []}}", ()),
        ("{agents: {list: [{id: 'one'}, {id: 'One'}, {id: 3}, 7, {id: '../x'}]}}", ("one",)),
        ("{agents: {entries: {two: {}}, list: [{id: 'one'}]}}", ("one", "two")),
    ],
)
def test_what_is_odd_is_passed_over_for_the_gateway_to_refuse(tmp_path, text, names):
    assert agent_names(written(tmp_path, text)) == names


def test_what_is_missing_or_does_not_read_is_refused(tmp_path):
    with pytest.raises(Unavailable):
        agent_names(tmp_path)
    with pytest.raises(Malformed):
        agent_names(written(tmp_path, "{agents"))


def test_what_of_shared_the_policy_lends_is_read_as_the_compiler_reads_it(tmp_path):
    home = tmp_path.resolve()
    text = f"""{{
      agents: {{
        defaults: {{ sandbox: {{ docker: {{ binds: ["shared/context:/workspaces/shared/context", "/srv/x:/x:rw"] }} }} }},
        list: [
          {{ id: "one", sandbox: {{ docker: {{ binds: ["{home}/shared/packets:/p:rw", "shared/repo/a:/code:ro", 7] }} }} }},
          {{ id: "two", sandbox: {{ docker: {{ binds: "shared/packets:/p" }} }} }},
          {{ id: "../x", sandbox: {{ docker: {{ binds: ["shared/packets:/p:rw"] }} }} }},
        ],
      }},
    }}"""
    found = lent_directories(written(home, text))
    assert found == {"context": {"one": False, "two": False}, "packets": {"one": True}, "repo": {"one": False}}
    assert lent_directories(written(home, '{ agents: { list: [{ id: "a" }], defaults: 3 } }')) == {}
    escaped = (
        '{ agents: { list: [{ id: "a", sandbox: { docker: { binds: ["shared/../state:/x:rw", "shared:/x:rw"] } } }] } }'
    )
    assert lent_directories(written(home, escaped)) == {}


def test_every_filter_that_anybody_could_have_is_named_as_the_compiler_names_it(tmp_path):
    home = tmp_path.resolve()
    assert named_profiles(home) == ()
    written(
        home,
        """{agents: {
      defaults: {sandbox: {docker: {seccompProfile: "all.json"}}},
      list: [
        {id: "one", sandbox: {docker: {seccompProfile: "./own.json"}}},
        {id: "two", sandbox: {docker: {seccompProfile: 7}}},
        {id: "three", sandbox: {docker: {seccompProfile: "all.json"}}},
      ],
      entries: {four: {sandbox: {docker: {seccompProfile: "/etc/f.json"}}}, five: {sandbox: {docker: {seccompProfile: "~"}}}},
    }}""",
    )
    assert named_profiles(home) == (f"{home}/all.json", f"{home}/own.json", "/etc/f.json")
