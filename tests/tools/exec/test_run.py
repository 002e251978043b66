import asyncio

import pytest
from tests.builders import CAT, GREP, agent_policy, command, exec_call

from bascule.core.box import PipelineRequest, PipelineResult
from bascule.core.confinement import Confinement, Network
from bascule.tools.exec.run import Exec


class Boxes:
    """Runs nothing, and remembers what it was asked to run."""

    def __init__(self):
        self.asked = []

    async def run(self, request: PipelineRequest) -> PipelineResult:
        self.asked.append(request)
        return PipelineResult((0,) * len(request.runs), b"", b"")


@pytest.mark.parametrize("network", [Network.NONE, Network.PROXY])
def test_every_box_of_a_pipeline_reaches_what_the_confinement_says(network):
    boxes = Boxes()
    rules = agent_policy()
    confinement = Confinement(network=network, programs=frozenset({GREP.path, CAT.path}))
    call = exec_call(command(GREP, "x"), command(CAT))
    asyncio.run(Exec(boxes, None, {rules.id: rules}).run(call, confinement))
    assert [run.network for run in boxes.asked[0].runs] == [network, network]
