"""The seven layers, outermost first. Each may say no; none may say yes for another.

A layer stands here only with a live test that fails when its enforcement is removed (``tests/layers``).
"""

from bascule.layers import (
    l1_account,
    l2_sandbox,
    l3_network,
    l4_tool_deny,
    l5_tool_allow,
    l6_exec_allowlist,
    l7_os_permissions,
)

LAYERS = (
    l1_account,
    l2_sandbox,
    l3_network,
    l4_tool_deny,
    l5_tool_allow,
    l6_exec_allowlist,
    l7_os_permissions,
)
"""Every layer, in order; each module has ``NAME``, ``judge``, ``confine`` and ``check``."""
