import pytest
from tests.builders import NOW, file_call

from bascule.core.confinement import LOOSEST
from bascule.core.errors import NotPermitted
from bascule.core.permit import Permit


def test_a_permit_is_spent_by_its_first_use():
    call = file_call("memory/x")
    permit = Permit(call, LOOSEST, NOW + 1)
    assert permit.spend(call, NOW) is LOOSEST
    with pytest.raises(NotPermitted) as refused:
        permit.spend(call, NOW)
    assert refused.value.code == "permit_spent"


def test_a_permit_is_for_one_call_and_is_spent_by_trying_another():
    permit = Permit(file_call("memory/x"), LOOSEST, NOW + 1)
    with pytest.raises(NotPermitted) as refused:
        permit.spend(file_call("memory/y"), NOW)
    assert refused.value.code == "permit_mismatch"
    with pytest.raises(NotPermitted) as refused:
        permit.spend(file_call("memory/x"), NOW)
    assert refused.value.code == "permit_spent"


@pytest.mark.parametrize("late", [0.0, 1.0, 1e9])
def test_a_permit_runs_out(late):
    call = file_call("memory/x")
    with pytest.raises(NotPermitted) as refused:
        Permit(call, LOOSEST, NOW).spend(call, NOW + late)
    assert refused.value.code == "permit_expired"
