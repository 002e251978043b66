import os

import pytest

from bascule.checkup import accepted
from bascule.checkup.machine import Raised
from bascule.checkup.ownership import Who
from bascule.core.errors import Malformed, Tampered
from bascule.host.people import Tables

WHO = Who(frozenset({os.geteuid()}), 900, {901: "main"}, Tables())
FILES = (Raised("/usr/bin/su", "setuid root", "4755 0 0 5 9 0"), Raised("/opt/ä b", "setuid root", "x"))


def test_what_was_accepted_is_read_back(tmp_path):
    assert accepted.load(tmp_path, WHO) is None
    path = accepted.store(tmp_path, FILES)
    assert accepted.load(tmp_path, WHO) == {file.path: file.identity for file in FILES}
    assert path.stat().st_mode & 0o777 == 0o644
    accepted.store(tmp_path, FILES[:1])
    assert list(accepted.load(tmp_path, WHO)) == ["/usr/bin/su"]
    assert [each.name for each in tmp_path.iterdir()] == [accepted.NAME]


@pytest.mark.parametrize("mode", [0o666, 0o644])
def test_a_list_a_stranger_could_have_written_is_refused(tmp_path, mode):
    path = accepted.store(tmp_path, FILES)
    path.chmod(mode)
    if mode == 0o644:
        os.chown(path, 901, 901)
    with pytest.raises(Tampered) as refused:
        accepted.load(tmp_path, WHO)
    assert refused.value.code == "accepted_unsafe"


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"raising": []}', '{"raising": {"a": 1}}', '{"raising": {"a": "x"}'])
def test_what_is_no_list_is_refused(tmp_path, text):
    (tmp_path / accepted.NAME).write_text(text)
    with pytest.raises(Malformed) as refused:
        accepted.load(tmp_path, WHO)
    assert refused.value.code == "accepted_malformed"
