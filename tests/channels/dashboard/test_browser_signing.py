"""Signing in and out in a real browser, and what its cookie is like."""

from __future__ import annotations

import http.client

import pytest
from playwright.sync_api import Browser, expect
from tests.channels.dashboard.person import Person
from tests.channels.dashboard.stage import Stage

pytestmark = pytest.mark.live


def test_a_link_signs_in_once_and_only_when_the_button_is_pressed(person: Person, stage: Stage) -> None:
    link = stage.link()
    for _ in range(3):
        person.page.goto(link)
    assert stage.doors.tried == []
    person.page.get_by_role("button", name="Sign this browser in").click()
    person.page.wait_for_url(stage.address + "/")
    expect(person.page.locator(".verdict")).to_contain_text("All is well")
    assert "link" not in person.page.url
    person.expected = ("Failed to load resource: the server responded with a status of 401",)
    person.page.goto(link)
    person.page.get_by_role("button", name="Sign this browser in").click()
    expect(person.page.get_by_role("alert")).to_contain_text("the link is used up")


def test_a_token_signs_in_and_a_wrong_one_does_not(person: Person, stage: Stage) -> None:
    person.open("/pending")
    person.page.wait_for_url("**/sign-in")
    person.expected = ("Failed to load resource: the server responded with a status of 401",)
    for token in ("tok-nobody", "tok-read-approve-chat-admin"):
        person.page.get_by_label("Token").fill(token)
        person.page.get_by_role("button", name="Sign in").click()
    person.page.wait_for_url(stage.address + "/")
    assert stage.doors.tried[:2] == ["tok-nobody", "tok-read-approve-chat-admin"]


def test_the_cookie_is_unseen_by_scripts_and_never_sent_for_another_site(person: Person) -> None:
    person.sign_in()
    [cookie] = person.context.cookies()
    assert (cookie["name"], cookie["httpOnly"], cookie["sameSite"], cookie["path"]) == (
        "bascule_session",
        True,
        "Strict",
        "/",
    )
    assert cookie["expires"] == -1
    assert person.page.evaluate("document.cookie") == ""


def test_signing_out_ends_it_here_and_at_the_gateway(person: Person, stage: Stage) -> None:
    person.sign_in()
    person.page.get_by_role("button", name="Sign out").click()
    person.page.wait_for_url("**/sign-in")
    assert person.context.cookies() == []
    assert stage.doors.sessions == {}
    person.open("/pending")
    person.page.wait_for_url("**/sign-in")


def test_a_page_that_stays_open_after_its_sign_in_ended_says_so(person: Person, stage: Stage) -> None:
    person.sign_in()
    person.live()
    stage.do(stage.doors.sessions.clear)
    person.expected = ("Failed to load resource",)
    stage.do(lambda: stage.channel.record("asked", "bruba-main"))
    expect(person.page.locator("#live-state")).to_contain_text("not live")
    assert person.page.url == stage.address + "/"


def test_a_rebound_host_name_is_refused(stage: Stage) -> None:
    told = []
    for host in (f"evil.example:{stage.port}", f"127.0.0.1.nip.io:{stage.port}", f"127.0.0.1:{stage.port}"):
        connection = http.client.HTTPConnection("127.0.0.1", stage.port, timeout=10)
        connection.putrequest("GET", "/sign-in", skip_host=True)
        connection.putheader("Host", host)
        connection.endheaders()
        told.append(connection.getresponse().status)
        connection.close()
    assert told == [421, 421, 200]


def test_a_name_that_was_rebound_to_this_machine_shows_nothing(chromium: Browser, stage: Stage) -> None:
    """The browser believes that the name is this machine, as after DNS rebinding."""
    with Person.arriving(chromium, stage) as person:
        answered = person.context.request.get(
            stage.address + "/pending", headers={"Host": f"rebound.example:{stage.port}"}, max_redirects=0
        )
        assert answered.status == 421
        assert "bruba" not in answered.text()


def test_another_sites_form_and_script_answer_nothing(person: Person, stage: Stage) -> None:
    person.sign_in()
    row = stage.channel.questions["apr_0000000000000001"]
    target = f"{stage.address}/approvals/{row['id']}/answer"
    body = f"answer=approve&digest={row['digest']}"
    page = f"""<form method="post" action="{target}"><input name="answer" value="approve">
        <input name="digest" value="{row["digest"]}"><button>go</button></form>"""
    person.context.route("http://evil.example/", lambda route: route.fulfill(body=page, content_type="text/html"))
    person.page.goto("http://evil.example/")
    person.page.evaluate(
        "([to, body]) => fetch(to, {method: 'POST', mode: 'no-cors', credentials: 'include', body,"
        " headers: {'Content-Type': 'application/x-www-form-urlencoded'}}).catch(() => null)",
        [target, body],
    )
    person.page.get_by_role("button", name="go").click()
    person.page.wait_for_load_state()
    assert stage.do(lambda: stage.channel.questions[row["id"]]["state"]) == "pending"
    # What it asked for, and what the browser said of it, is the other site's doing.
    person.asked.clear()
    person.complaints.clear()
