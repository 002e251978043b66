import pytest
from tests.builders import LAYOUT

from bascule.core.errors import Malformed
from bascule.core.paths import Access
from bascule.tools.edit.spec import SPEC, intend


def test_it_edits_the_one_file_it_names():
    args = SPEC.parse({"file_path": "memory/x", "old_string": "a", "new_string": "b", "replace_all": True})
    assert args == {"path": "memory/x", "oldText": "a", "newText": "b", "replaceAll": True}
    (use,) = intend(args, LAYOUT).paths
    assert (use.place.box, use.access) == ("/workspace/memory/x", Access.WRITE)


@pytest.mark.parametrize(("old", "new", "code"), [("", "x", "edit_empty"), ("x", "x", "edit_same")])
def test_an_edit_of_nothing_or_into_the_same_is_refused(old, new, code):
    with pytest.raises(Malformed) as refused:
        intend({"path": "memory/x", "oldText": old, "newText": new}, LAYOUT)
    assert refused.value.code == code
