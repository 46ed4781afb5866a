"""What ``fascia doctor`` asks of use and stock: do locations take their uses, does billing hear of them, do orders come about."""

from __future__ import annotations

from sqlalchemy.exc import SQLAlchemyError

from canonical.errors import FasciaError
from stack import doctor
from stack.doctor import Finding
from store.database import open_engine
from store.ids import now
from workers.settings import Settings

MIGRATE = "fascia migrate"


async def usage(settings: Settings) -> Finding:
    """Uses are taken within a quarter of an hour, and none waits for a person."""
    if (await doctor.database(settings)).state != "ok":
        return Finding("usage", "fail", "", "uses cannot be read", "see database")
    engine = open_engine(settings.database_url.get_secret_value(), pool=1)
    try:
        from store.attention import TOO_LONG
        from store.attention_usage import standing_of, stuck_uses

        stands = await standing_of(engine)
        stuck = await stuck_uses(engine, now() - TOO_LONG)
    except (FasciaError, SQLAlchemyError):
        return Finding("usage", "fail", "", "uses cannot be read", MIGRATE)
    finally:
        await engine.dispose()
    text = f"{stands.waiting} uses wait, {stands.charges} charges are due, {stands.needs} needs are open"
    counts: dict[str, int] = {}
    for one in stuck:
        counts[one.what] = counts.get(one.what, 0) + one.count
    if counts:
        said = ", ".join(f"{many} {what}" for what, many in sorted(counts.items()))
        return Finding("usage", "warn", "", f"{text}; {said}", "fascia attention list")
    return Finding("usage", "ok", "", text)
