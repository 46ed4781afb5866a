"""Which targets of a person are to be written or looked at now, which wait and for what, and when to look again. Pure rules.

What is given follows ``AccessTarget.after``: a target waits until those it names are confirmed. What is taken away waits for
nothing but the first try of what opens more doors (:data:`canonical.access.REVOKED_FIRST`): a target that is down holds up no other.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final

from pydantic import Field

from canonical.access import (
    REVOKED_FIRST,
    AccessStanding,
    AccessTarget,
    TargetDue,
    TargetLine,
    TargetSeen,
    Wanted,
)
from canonical.base import Canonical, Text

OFF_SELDOM: Final = 6  # times ``look_every``: how seldom, at the most, what we took away is looked at
ON_SELDOM: Final = 24  # and what we gave
LEFT_AFTER: Final = timedelta(days=30)  # off for so long, it is looked at
LEFT_EVERY: Final = timedelta(
    days=1
)  # so often: an account switched on again after somebody left is found within a day
EARLY: Final = 10  # such a part of its time early, a look is made whenever the case looks
ALONG: Final = (
    2  # and such a part early with another that is due: those that came apart by a change wake the case together again
)
LATE_LOOKS: Final = tuple(timedelta(minutes=minutes) for minutes in (0, 1, 5, 15))
"""After a write whose end was not heard of should have settled: in case the target was slower than its row says."""
FIRST_AGAIN: Final = timedelta(seconds=2)
TAKEN_AGAIN_WITHIN: Final = timedelta(
    seconds=60
)  # what is to be taken away is tried again within a minute, however long it fails
REFUSED_AGAIN: Final = timedelta(minutes=5)  # what a person or time must mend is asked for again as often at first
REFUSED_AGAIN_WITHIN: Final = timedelta(hours=1)
REFUSED_SELDOM: Final = 12  # times that first pause: how seldom, at the most
ENABLED_OUTSIDE: Final = "enabled-outside"
SYSTEM_GONE: Final = (
    "system-gone"  # nobody looks there any more: two people said that the system itself is gone for good
)
TAKEN_AGAIN: Final = "taken-again"  # it was on outside, and we took it away once more
SPARE: Final = 15  # seconds a step may take beside the calls themselves


class TargetState(Canonical):
    """How a target stands with a person, as it is kept. ``wanted``: hash of what was written or confirmed last.

    ``asked_at``: a write that gives something began then, and its end was not heard of; ``unheard_at``: so did one before it.
    """

    target: str
    state: str
    kind: str = ""
    wanted: str = ""
    active: bool = False
    reference: str = ""
    reason: Text = ""
    finding: str = ""
    since: datetime | None = None
    written_at: datetime | None = None
    seen_at: datetime | None = None
    again_at: datetime | None = None
    asked_at: datetime | None = None
    unheard_at: datetime | None = None
    tries: int = Field(default=0, ge=0)
    offs: int = Field(default=0, ge=0)
    off_at: datetime | None = None


def plan(
    targets: Sequence[AccessTarget],
    states: Mapping[str, TargetState],
    wanted: Mapping[str, Wanted],
    as_of: datetime,
    *,
    blocked: bool = False,
    next_change: datetime | None = None,
) -> AccessStanding:
    """What is due now. ``targets`` are those in use, and those put out of use where something of the person may stand."""
    due: list[TargetDue] = []
    lines: list[TargetLine] = []
    moments = [next_change] if next_change is not None else []
    early = ALONG if any(_stands_due(one, states.get(one.code), wanted[one.code], as_of) for one in targets) else EARLY
    for target in sorted(targets, key=lambda one: (REVOKED_FIRST.index(one.kind), one.code)):
        state, want = states.get(target.code), wanted[target.code]
        if not want.active and (state is None or state.state == "absent"):
            continue  # nothing was ever given there
        do, why, again = _next(target, targets, states, wanted, as_of, early)
        if do is not None:
            due.append(do)
        if again is not None:
            moments.append(again)
        lines.append(_line(target, state, want, why))
    rest = [one for one in targets if one.code in {line.target for line in lines}]
    at_rest = all(_at_rest(states.get(one.code), wanted[one.code]) for one in rest)
    return AccessStanding(
        blocked=blocked,
        due=tuple(due),
        finished=at_rest and not due and not any(one.active for one in wanted.values()),
        waiting=tuple(line.target for line in lines if line.state == "waiting"),
        refused=tuple(line.target for line in lines if line.state == "refused"),
        confirmed=sum(1 for line in lines if line.state in ("confirmed", "off")),
        all_off=all(line.state == "off" and not line.active for line in lines),
        next_at=min(moments, default=None),
        targets=tuple(lines),
    )


def _next(
    target: AccessTarget,
    targets: Sequence[AccessTarget],
    states: Mapping[str, TargetState],
    wanted: Mapping[str, Wanted],
    as_of: datetime,
    early: int,
) -> tuple[TargetDue | None, str, datetime | None]:
    """What is to be done with one target now, what it waits for, and when to look again."""
    state, want = states.get(target.code), wanted[target.code]
    seconds = int(target.timeout * 2) + SPARE  # a write, and the one that undoes it
    if state is not None and _stands(state, want):
        if not _look_due(target, state, as_of, early):
            return None, "", look_again_at(target, state)
        # The look after this one, if it finds nothing: the case's alarm is set once for both.
        again = look_again_at(target, state.changed(seen_at=as_of))
        return TargetDue(target=target.code, kind=target.kind, do="look", seconds=seconds), "", again
    if state is not None and state.again_at is not None and state.again_at > as_of and state.wanted == want.hash:
        return None, state.reason, state.again_at
    waits = _waits_for(target, states, wanted) if want.active else _goes_after(target, targets, states, wanted)
    if waits:
        return None, waits, None
    takes = not want.active
    return TargetDue(target=target.code, kind=target.kind, do="write", seconds=seconds, takes=takes), "", None


def _stands(state: TargetState, want: Wanted) -> bool:
    """Whether what was written or seen last is what is wanted now."""
    return state.wanted == want.hash and state.state in ("confirmed", "off")


def _stands_due(target: AccessTarget, state: TargetState | None, want: Wanted, as_of: datetime) -> bool:
    """Whether there is a look to be made now."""
    return state is not None and _stands(state, want) and _look_due(target, state, as_of, EARLY)


def _look_due(target: AccessTarget, state: TargetState, as_of: datetime, early: int) -> bool:
    """Whether its time has come, but for such a part of it; where a grant may still come, to the second."""
    look_at = look_again_at(target, state)
    spared = (look_at - (state.seen_at or look_at)) / early if state.asked_at is None else timedelta()
    return look_at - spared <= as_of


def look_again_at(target: AccessTarget, state: TargetState) -> datetime:
    """When what stands as it should is looked at again: the longer it has, the more seldom; at once where a grant may still come."""
    seen = state.seen_at or state.written_at or state.since
    if seen is None:
        raise ValueError("what stands was seen at some time")
    every = timedelta(seconds=target.look_every)
    stood = seen - (state.since or seen)
    seldom = every * (ON_SELDOM if state.active else OFF_SELDOM)
    at = seen + (
        max(seldom, LEFT_EVERY) if stood >= LEFT_AFTER and not state.active else min(max(stood, every), seldom)
    )
    settled = settled_at(target, state.asked_at)
    if settled is None:
        return at
    return min(at, next((settled + late for late in LATE_LOOKS if seen < settled + late), at))


def heard_no_more(target: AccessTarget, asked_at: datetime | None, at: datetime) -> bool:
    """Whether a write whose end was not heard of has been looked for often enough: nothing of it will come any more."""
    settled = settled_at(target, asked_at)
    return settled is not None and at >= settled + LATE_LOOKS[-1]


def _at_rest(state: TargetState | None, want: Wanted) -> bool:
    """Off for so long that no run of a case need wait for the next look."""
    if state is None or state.state != "off" or state.active or state.wanted != want.hash or state.asked_at is not None:
        return False
    if state.seen_at is None or state.since is None:
        return False
    return state.seen_at - state.since >= LEFT_AFTER


def settled_at(target: AccessTarget, asked_at: datetime | None) -> datetime | None:
    """Until when a write whose end we never heard of may still be carried out there."""
    if asked_at is None:
        return None
    return asked_at + timedelta(seconds=target.timeout + target.settles_within)


def tried_again_at(code: str, tries: int, active: bool, as_of: datetime, first: timedelta = REFUSED_AGAIN) -> datetime:
    """When a target that did not answer, or refused, is tried again; ``active``: something is to be given; ``first``: the target's
    own first pause after it refused; what did not answer is asked within twice that."""
    doubled: int = 1 << min(tries, 12)
    if code in ("unavailable", "throttled") or not active:
        most = 2 * first if active else TAKEN_AGAIN_WITHIN
        return as_of + min(FIRST_AGAIN * doubled, most)
    return as_of + min(first * doubled, first * REFUSED_SELDOM)


def state_of(want: Wanted, seen: TargetSeen, *, written: bool) -> str:
    """What a look says of a target: as wanted, seen off, written and not (yet) so, or to be written."""
    off = not seen.active and not seen.groups
    if not want.active:
        return "off" if off else ("written" if written else "due")
    return "confirmed" if seen.as_wanted and seen.active else ("written" if written else "due")


def opened_outside(state: TargetState | None, seen: TargetSeen) -> str:
    """The finding where something is on again that we had seen off; else what the target itself found."""
    on = seen.active or bool(seen.groups)
    had_it_off = state is not None and state.state == "off"
    return ENABLED_OUTSIDE if had_it_off and on else seen.finding


def taken_again(state: TargetState | None) -> str:
    """The finding of what is off: that somebody outside had switched it on stays to be seen; else nothing."""
    return TAKEN_AGAIN if state is not None and state.finding in (ENABLED_OUTSIDE, TAKEN_AGAIN) else ""


def _waits_for(target: AccessTarget, states: Mapping[str, TargetState], wanted: Mapping[str, Wanted]) -> str:
    """What must be confirmed before; what is not wanted of this person is not waited for."""
    missing = [
        code
        for code in target.after
        if (want := wanted.get(code)) is not None and want.active and not _confirmed(states.get(code))
    ]
    return f"waits for {', '.join(missing)}" if missing else ""


def _confirmed(state: TargetState | None) -> bool:
    return state is not None and state.state == "confirmed" and state.active


def _goes_after(
    target: AccessTarget,
    targets: Sequence[AccessTarget],
    states: Mapping[str, TargetState],
    wanted: Mapping[str, Wanted],
) -> str:
    """What opens more doors is taken first; once that was tried, nothing waits for it."""
    mine = REVOKED_FIRST.index(target.kind)
    for other in targets:
        state, want = states.get(other.code), wanted[other.code]
        untried = state is not None and state.state not in ("off", "absent") and state.wanted != want.hash
        if not want.active and untried and REVOKED_FIRST.index(other.kind) < mine:
            return f"after {other.code}"
    return ""


def _line(target: AccessTarget, state: TargetState | None, want: Wanted, waits: str) -> TargetLine:
    kept = state or TargetState(target=target.code, state="due")
    shown = kept.state
    if waits and kept.wanted != want.hash:
        shown = "waiting"
    elif kept.wanted != want.hash and kept.state in ("confirmed", "off"):
        shown = "due"
    reason = waits or kept.reason
    return TargetLine(
        target=target.code, kind=target.kind, state=shown, active=kept.active, reason=reason, finding=kept.finding
    )
