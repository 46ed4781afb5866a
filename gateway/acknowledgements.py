"""Credits what an application says of a message of ours, by a connection of its own, to the message it is about.

Enhanced mode, HL7 v2 chapter 2.9.3: the accept answer (CA) came on our connection, and the application's follows when it likes; a
system that does not keep connections brings it to our door as an ACK. It is matched by its MSA-2 within the channel that leads to
that system, its sender row's ``reply_channel``. Its word again changes nothing; what answers nothing of ours is credited to nothing.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

from canonical.messages import Kept, Move
from canonical.senders import Sender
from formats import hl7

TYPE: Final = "ACK"
APPLICATION: Final = ("AA", "AE", "AR")


@dataclass(frozen=True)
class Said:
    """What an application said: MSA-1 and its words, of the message ``control_id`` (MSA-2) that left by ``channel``.

    ``message`` is the journal's id of the answer itself; ``owner`` answers for the system that gave it.
    """

    channel: str
    control_id: str
    code: str
    text: str
    message: str
    owner: str = ""


Credit = Callable[[Said], Awaitable[str]]
"""Notes it on the message it is about and gives that one's id in the journal; empty where it is about none of ours."""


def is_ours(kind: str, sender: Sender) -> bool:
    """Whether a message of this kind answers one that we sent to this system."""
    return bool(sender.reply_channel) and kind.partition("^")[0] == TYPE


async def credited(message: Kept, sender: Sender, credit: Credit) -> Move:
    """Note an answer where it belongs.

    Raises:
        Malformed: it has no MSA, or not one that says which message it answers and how.
        Unavailable: our database does not answer.
    """
    said = hl7.read_acknowledgement(message.data, default=sender.character_set or hl7.DEFAULT_SET)
    channel = str(sender.reply_channel)
    if said.code not in APPLICATION:
        return _to_nothing(message, f"{said.code} is an accept answer: it belongs on the connection of its message")
    words = said.text or next((one.text for one in said.errors if one.text), "")
    about = await credit(Said(channel, said.control, said.code, words, message.id, sender.owner))
    if not about:
        return _to_nothing(message, f"nothing sent by {channel} has the number in MSA-2")
    return Move(message=message.id, state="routed", reason=f"{said.code} to message {about}")


def _to_nothing(message: Kept, why: str) -> Move:
    return Move(message=message.id, state="refused", reason=f"{why}: credited to nothing")
