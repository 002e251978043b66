"""Every failing status is one line with a remedy, and only what can pass is asked again."""

from __future__ import annotations

import pytest

from bascule.runtime.providers import faults


@pytest.mark.parametrize("status", range(400, 600))
def test_every_status_has_a_code_and_one_line(status: int) -> None:
    fault = faults.of_status("p:m", status, "said\nso " * 99, 3.0)
    assert fault.code
    assert fault.remedy
    assert "\n" not in fault.message
    assert len(fault.message) < 300
    assert fault.again == (status in faults.TRANSIENT)
    assert not (fault.again and status in {400, 401, 402, 403, 404, 413, 422})
    assert fault.again or status not in {429, 500, 502, 503, 504, 529}
