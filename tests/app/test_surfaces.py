from __future__ import annotations

import socket
from dataclasses import replace

from tests.builders import policy

from bascule.app.surfaces import Surfaces
from bascule.core.surfaces import HttpPolicy


def test_no_link_leads_to_a_port_that_another_program_has() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        surfaces = Surfaces(replace(policy(), http=HttpPolicy(port=port)), lambda _line: None)
        surfaces._lasting = True
        assert surfaces._try_to_listen() is None
        assert surfaces.dashboard() == ""
        assert [problem["code"] for problem in surfaces.problems()] == ["http_port"]
    listener = surfaces._try_to_listen()
    assert listener is not None
    listener.close()
    assert surfaces.dashboard() == f"http://localhost:{port}"
    assert surfaces.problems() == ()
