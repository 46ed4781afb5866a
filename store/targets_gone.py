"""What stood in a system that two people said is gone counts as gone with it, and each person's trace says so."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import update
from sqlalchemy.ext.asyncio import AsyncConnection

from canonical.access import AccessTarget
from canonical.access_plan import SYSTEM_GONE, TargetState
from store.access_rows import all_targets_in, looked_at, refused_before, reopened_in, states_in, wake_cases_in
from store.people_applying import lock_person_in
from store.people_tables import access_states
from store.person_trace import Entry, note_in
from store.target_words import words_in

NOBODY_LOOKS: dict[str, Any] = {"reason": "", "again_at": None, "asked_at": None, "unheard_at": None, "tries": 0}
NOT_SEEN_OFF: dict[str, Any] = {"offs": 0, "off_at": None}


async def settled_in(
    connection: AsyncConnection, person: str, as_of: datetime, since: datetime | None = None
) -> dict[str, TargetState]:
    """How each target stands with a person, once what the words of people make of it is written down. ``since``: when a block came.

    Before the person's row is locked by the caller: where something is to be written, it is locked here.
    """
    states = await states_in(connection, person)
    words = await words_in(connection)
    if not words and all(one.finding != SYSTEM_GONE for one in states.values()):
        return states
    rows = {one.code: one for one in await all_targets_in(connection, as_of)}
    if not _changes(states, words, rows, since):
        return states
    await lock_person_in(connection, person)
    states = await states_in(connection, person)
    entries = []
    for code, values in _changes(states, words, rows, since).items():
        mine = access_states.c.person == person, access_states.c.target == code
        await connection.execute(update(access_states).where(*mine).values(since=as_of, **values))
        before, word = states[code], words.get(code)
        stood = {"state": before.state, "active": before.active} | refused_before(before)
        if values["finding"] == "":
            await reopened_in(connection, person)
            entries.append(Entry(did="system back", what=code))
        elif before.finding != SYSTEM_GONE and word is not None:
            said = {"asked by": word["asked_by"], "said": word["said_at"].isoformat()}
            entries.append(Entry(did="gone with its system", what=code, by=word["said_by"], content=said | stood))
    await wake_cases_in(connection, person, as_of)
    await note_in(connection, person, *entries)
    return await states_in(connection, person)


def _changes(
    states: Mapping[str, TargetState],
    words: Mapping[str, Any],
    rows: Mapping[str, AccessTarget],
    since: datetime | None,
) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {}
    for code, state in states.items():
        row, marked = rows.get(code), state.finding == SYSTEM_GONE
        if code in words and not (row is not None and row.active):
            stands = state.state != "absent" if row is None else looked_at(row, state, since)
            late = marked and (state.state, state.active) != ("off", False)  # a try that was under way has ended
            if late or (stands and not marked):
                found[code] = {"state": "off", "active": False, "finding": SYSTEM_GONE} | NOBODY_LOOKS | NOT_SEEN_OFF
        elif marked:
            found[code] = {"state": "due", "finding": ""} | NOT_SEEN_OFF
    return found
