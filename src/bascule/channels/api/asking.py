"""What requests to ``/api/v1`` may say, as types: bodies, queries and who asks.

Stops: an unknown key, a value of a wrong type and a number out of range; nothing is converted or filled in.
"""

from __future__ import annotations

from typing import Annotated, Literal, TypeAlias

from fastapi import Depends, Path, Query
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from bascule.channels.web.dependencies import reaching
from bascule.channels.web.reach import MAX_ROWS, Reach
from bascule.core.canonical import MAX_SAFE_INTEGER

SURFACE = "api"

Anyone = Annotated[Reach, Depends(reaching(SURFACE))]
Reader = Annotated[Reach, Depends(reaching(SURFACE, "read"))]
Approver = Annotated[Reach, Depends(reaching(SURFACE, "approve"))]
Looker = Annotated[Reach, Depends(reaching(SURFACE, "read", "approve"))]
Stopper = Annotated[Reach, Depends(reaching(SURFACE, "approve", "admin"))]
Watcher = Annotated[Reach, Depends(reaching(SURFACE, "read", "approve", "admin"))]
Admin = Annotated[Reach, Depends(reaching(SURFACE, "admin"))]
Chatter = Annotated[Reach, Depends(reaching(SURFACE, "chat"))]
"""Who asks, by what they must hold; of several scopes one is enough."""

Limit = Annotated[int, Query(ge=1, le=MAX_ROWS, description="rows at most")]
OfAgent = Annotated[str | None, Query(max_length=64, description="of this agent only")]
Seq = Annotated[int, Path(ge=0, le=MAX_SAFE_INTEGER, description="sequence number of a ledger record")]
After = Annotated[int | None, Query(ge=0, le=MAX_SAFE_INTEGER, description="what follows this record")]
Ref = Annotated[str, Path(max_length=64, description="id, or code")]
Name = Annotated[str, Path(max_length=256)]

Digest: TypeAlias = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$", description="of the call, as it was shown")]


def _whole(value: object) -> object:
    """Take ``5.0`` as 5: JSON has numbers only, and JSON Schema calls that one an integer."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


Count: TypeAlias = Annotated[int, Field(ge=1, le=1 << 31), BeforeValidator(_whole)]


class Body(BaseModel):
    """A request's body: no key unknown, nothing converted."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class Shown(Body):
    """What was shown: an answer holds for that and nothing else."""

    digest: Digest


class Granting(Shown):
    """A yes to what was shown and to more; see ``docs/approvals.md``."""

    extent: Literal["exact", "similar", "pattern"]
    this_session: bool = False
    minutes: Count | None = None
    uses: Count | None = None
    args: str | None = Field(None, max_length=4096)
    under: str | None = Field(None, max_length=4096)


class Item(Body):
    """One of several questions, as it was shown."""

    id: str = Field(pattern=r"^apr_[0-9a-f]{16}$")
    digest: Digest


class Deciding(Body):
    """One answer to several questions."""

    answer: Literal["approve", "deny"]
    items: list[Item] = Field(min_length=1, max_length=500)


class Stopping(Body):
    """Whom to stop, null for all, and why."""

    agent: str | None = Field(max_length=64)
    reason: str = Field(min_length=1, max_length=500)


class Releasing(Body):
    """Whom to let go again."""

    agent: str = Field(max_length=64)
