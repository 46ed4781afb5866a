"""Takes a use anew while it waits for a person: its message was read again by a mended table, or a person corrected the message."""

from __future__ import annotations

from datetime import date
from typing import Any, Final

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from canonical.usage import FINDINGS, OWNER

# What a person said of it before was said of other content, so it is asked anew; as a new one of an unknown location it is parked
# at once. A void goes where its use is, and follows one that is somewhere else by now.
_MEND: Final = text(f"""
WITH held AS (
    SELECT h.id, o.id AS of, o.location AS of_at, CASE
        WHEN :kind = 'void' AND o.id IS NULL THEN 'unknown-use'
        WHEN :kind = 'void' THEN ''
        WHEN EXISTS (SELECT FROM register AS r WHERE r.kind = 'location' AND r.facility = h.facility
            AND r.code = :location AND r.valid_from <= :today) THEN ''
        ELSE 'unknown-location' END AS found
    FROM usage_events AS h LEFT JOIN usage_events AS o ON :kind = 'void' AND o.kind <> 'void'
    AND (o.facility, o.source, o.number, o.sequence) = (h.facility, h.source, :voids_number, CAST(:voids_sequence AS int))
    WHERE h.id = :known AND h.state IN ('review', 'parked') AND h.message IN (:message, :corrects)
), mended AS (
    UPDATE usage_events AS u SET kind = :kind, hash = :hash, message = :message, sender = :sender,
        location = coalesce(h.of_at, :location), item = :item, lot = :lot, serial = :serial,
        expires = CAST(:expires AS date), service_line = :service_line, procedure = :procedure,
        procedure_code = :procedure_code, voids = coalesce(h.of, ''), voids_number = :voids_number,
        content = CAST(:content AS jsonb), used_at = CAST(:used_at AS timestamptz), changed_at = CAST(:at AS timestamptz),
        corrected = NULL, allowed = '[]', quantity = NULL, round = NULL,
        state = CASE h.found WHEN '' THEN 'waiting' ELSE 'parked' END,
        owner = CASE h.found WHEN '' THEN '' ELSE '{OWNER}' END, finding = h.found,
        findings = CASE h.found WHEN '' THEN '[]' ELSE jsonb_build_array(h.found) END,
        reason = CASE h.found WHEN '' THEN ''
            WHEN 'unknown-use' THEN '{FINDINGS["unknown-use"]}: ' || :voids_number || '/' || CAST(:voids_sequence AS text)
            ELSE '{FINDINGS["unknown-location"]}: ' || coalesce(nullif(:location, ''), 'none is named') END
    FROM held AS h WHERE u.id = h.id
    RETURNING u.id, u.state, u.location, u.kind
), followed AS (
    UPDATE usage_events AS v SET location = m.location
    FROM mended AS m WHERE v.voids = m.id AND v.voids <> '' AND m.kind <> 'void' AND v.state IN ('waiting', 'review', 'parked')
)
SELECT state FROM mended""")  # noqa: S608 our own words alone


async def mended(
    connection: AsyncConnection, known: str, row: dict[str, Any], message: str, corrects: str, sender: str, today: date
) -> str | None:
    """The state of a use that took what it says now, None where it waits for nobody or came by another message."""
    given = {
        name: value for name, value in row.items() if name not in ("id", "facility", "source", "number", "sequence")
    }
    about = {"known": known, "message": message, "corrects": corrects or message, "sender": sender, "today": today}
    state: str | None = await connection.scalar(_MEND, given | about)
    return state
