"""A message: bytes that came in or went out, as they are kept in the journal and as they are brought to it."""

from __future__ import annotations

from datetime import datetime, timedelta

from pydantic import ConfigDict, Field

from canonical.base import Canonical


class MessageFacts(Canonical):
    """What the journal says of a message, beside its bytes.

    ``owner``: who answers for it where it became a dead letter; ``note``: what its door found wrong and took all the same.
    """

    id: str
    direction: str = Field(pattern="^(in|out)$")
    door: str
    partner: str = ""
    sender: str = ""
    kind: str = ""
    control_number: str = ""
    key: str = ""
    state: str = "received"
    reason: str = ""
    case: str = ""
    trace: str = ""
    hash: str = ""
    size: int = 0
    duplicate_of: str = ""
    answer: str = ""
    at: datetime
    stream: str = ""
    priority: int = 5
    occurred: datetime | None = None
    channel: str = ""
    version_of: str = ""
    replay_of: str = ""
    owner: str = ""
    note: str = ""

    @property
    def number(self) -> str:
        """Its control number as lists, logs and reasons may show it: what its sender calls a file may name a patient, and is
        shown with the message itself alone.
        """
        named = self.kind.startswith("csv_") and not self.kind.endswith("_rows")
        return "" if named else self.control_number


class Kept(MessageFacts):
    """A message as the journal holds it, with its bytes as they came."""

    model_config = ConfigDict(frozen=True, extra="ignore", ser_json_bytes="base64", val_json_bytes="base64")

    data: bytes = b""


class NewMessage(Canonical):
    """A message to keep. ``key`` is what makes it the same message again (both parties and ISA13, Idempotency-Key).

    ``stream``: what must stay in order with it (a sender and a subject); empty: its door and the sweep route it, in any order.
    ``priority``: 0 is urgent, 9 is bulk. ``occurred``: when it says it was made. ``remember``: how long the key makes it the
    same message; None is for ever. ``version_of``: the message it corrects; ``replay_of``: the message it repeats.
    ``refused``: why its door refuses it; such a message is refused from the start, whatever happens to its door. ``note``: what
    is wrong with it, where it is taken all the same.
    """

    direction: str = Field(default="in", pattern="^(in|out)$")
    door: str
    data: bytes
    partner: str = ""
    sender: str = ""
    kind: str = ""
    control_number: str = ""
    key: str = ""
    case: str = ""
    trace: str = ""
    at: datetime | None = None
    stream: str = ""
    priority: int = Field(default=5, ge=0, le=9)
    occurred: datetime | None = None
    channel: str = ""
    version_of: str = ""
    replay_of: str = ""
    remember: timedelta | None = None
    refused: str = ""
    note: str = ""


class Asking(NewMessage):
    """A message that asks for one case, to be kept and announced in one step: its name, and the hash of what is asked for."""

    asks: str
    content_hash: str


class Move(Canonical):
    """A message's move to a state, with the reason; what is empty of ``case``, ``kind`` and ``owner`` stays as it is."""

    message: str
    state: str
    reason: str = ""
    case: str = ""
    kind: str = ""
    owner: str = ""


LEFT_IN_MAILBOX = "mailbox_file"  # what the list of unmatched documents calls a file that could not be taken in
CONFLICT = "conflict"  # how the journal's reason begins where a number is known with other content
APART = f"{CONFLICT}: message "  # and where that is the number of another message, and nobody was told of it yet
AS_NEW = "accepted as a message of its own"  # and where a person took it all the same


class KeepResult(Canonical):
    """``outcome``: kept (new), duplicate (same key, same bytes: ``message`` is the first), conflict (same key, other bytes;
    kept under an id of its own, ``first`` names the one it disagrees with)."""

    outcome: str = Field(pattern="^(kept|duplicate|conflict)$")
    message: Kept
    first: Kept | None = None
