"""What ``fascia doctor`` asks of those who send to us: has each a way in, are folders watched, can they be written."""

from __future__ import annotations

import os
from collections.abc import Container, Mapping, Sequence
from pathlib import Path
from typing import Final

from sqlalchemy.exc import SQLAlchemyError

from canonical.errors import FasciaError
from canonical.folders import FileSource
from canonical.senders import Sender
from gateway.lookups import SOURCE
from stack import doctor, questions
from stack.doctor import Finding
from store.database import open_engine
from store.ids import now
from store.keys import ApiKey, StoredKeys
from workers.loops.folder_watch import LOOKED, MARK
from workers.settings import SECRETS, Settings

MIGRATE: Final = "fascia migrate"
LOAD: Final = "fascia register load FOLDER, with a row in file_sources.csv (docs/files.md)"
FOLDER_FIX: Final = "mend it, or correct the file source's row (docs/files.md)"
LOOPS: Final = "start the loops (fascia up, or python -m workers loops), or see their log for `file source not read`"
MOST_NAMED: Final = 10
SCOPES: Final[Mapping[str, tuple[str, ...]]] = {"fhir": ("fhir",), "rest": ("files", "people", "requisitions", "usage")}


async def senders(settings: Settings) -> Finding:
    """Every sender of the register has a way in: a key that holds, a folder that is watched, or it is asked."""
    if (await doctor.database(settings)).state != "ok":
        return Finding("senders", "fail", "", "the register cannot be read", "see database")
    engine = open_engine(settings.database_url.get_secret_value(), pool=1)
    try:
        from store.register_reading import RegisterReading

        register = RegisterReading(engine)
        known = [one for one in await register.senders() if one.active]
        asked = settings.hr_sender if settings.hr_url else None  # an HR system that tells nobody
        watched = {one.sender for one in await register.file_sources() if one.active}
        keys: Sequence[ApiKey] = await StoredKeys(engine).keys(limit=100_000)
    except (FasciaError, SQLAlchemyError):
        return Finding("senders", "fail", "", "the register cannot be read", MIGRATE)
    finally:
        await engine.dispose()
    keyed = [key for key in keys if key.revoked_at is None and (key.expires_at is None or key.expires_at > now())]
    to_send = [one for one in known if one.code != asked]
    ill = [lack for one in to_send if (lack := _lacks(one, watched, [key for key in keyed if key.sender == one.code]))]
    if not ill:
        return Finding("senders", "ok", "", f"{len(known)} senders, each with a way in")
    said = "; ".join(what for what, _ in ill[:MOST_NAMED]) + (
        f"; and {len(ill) - MOST_NAMED} more" if ill[MOST_NAMED:] else ""
    )
    return Finding("senders", "warn", "", said, "; ".join(dict.fromkeys(fix for _, fix in ill[:MOST_NAMED])))


def _lacks(sender: Sender, watched: Container[str], keys: Sequence[ApiKey]) -> tuple[str, str] | None:
    """What a sender lacks to send anything at all, and what to press; None: nothing. HL7 goes by address or certificate."""
    if sender.dialect == "file":
        return None if sender.code in watched else (f"{sender.code}: no folder of it is watched", LOAD)
    if sender.dialect == "hl7":
        return None
    wanted = SCOPES[sender.dialect]
    press = f"fascia key add {sender.code} --facility {sender.facility} --scope {wanted[0]}"
    here = [key for key in keys if key.facility == sender.facility]
    if not here:
        return f"{sender.code}: no key of it holds at {sender.facility}", press
    duties = [{scope for scope in key.scopes if not scope.startswith(SOURCE)} for key in here]
    if all(one and not one & set(wanted) for one in duties):
        return f"{sender.code}: none of its keys is for {' or '.join(wanted)}", press
    return None


async def folders(settings: Settings) -> Finding:
    """Every watched folder is there, can be read and written, is looked into, and its sender is known; one over SFTP answers."""
    if (await doctor.database(settings)).state != "ok":
        return Finding("folders", "fail", "", "the register cannot be read", "see database")
    engine = open_engine(settings.database_url.get_secret_value(), pool=1)
    try:
        from store.file_work import StoredFileWork
        from store.marks import StoredMarks
        from store.register_reading import RegisterReading

        register, marks = RegisterReading(engine), StoredMarks(engine)
        sources = [one for one in await register.file_sources() if one.active]
        known = {one.code for one in await register.senders() if one.active}
        silent = {one.code: await marks.silent_for(f"{MARK}{one.code}") for one in sources}
        at_work = await StoredFileWork(engine).sources_at_work()
    except (FasciaError, SQLAlchemyError) as error:
        why = error.message if isinstance(error, FasciaError) else type(error).__name__
        return Finding("folders", "fail", "", f"the register cannot be read: {why}", MIGRATE)
    finally:
        await engine.dispose()
    ill = [(f"{one.code}: sender {one.sender} is not active", FOLDER_FIX) for one in sources if one.sender not in known]
    for one in sources:
        if trouble := await folder_trouble(one, settings):
            ill.append((f"{one.code}: {trouble}", FOLDER_FIX))
        elif one.code not in at_work and (trouble := _not_looked(silent[one.code], settings)):
            ill.append((f"{one.code}: {trouble}", LOOPS))
    if ill:
        fixes = "; ".join(dict.fromkeys(fix for _, fix in ill))
        return Finding("folders", "fail", "", "; ".join(what for what, _ in ill), fixes)
    return Finding("folders", "ok", "", f"{len(sources)} folders watched" if sources else "no folder is watched")


def _not_looked(silent: float | None, settings: Settings) -> str:
    """How long nobody has looked into a folder, where that is longer than its watcher's interval allows."""
    if silent is None:
        return "nobody has looked into it yet"
    if silent > 2 * LOOKED + 3 * settings.poll_interval:
        return f"its watcher has not looked into it for {silent:.0f} s"
    return ""


async def folder_trouble(source: FileSource, settings: Settings) -> str:
    """What keeps a source from being watched; empty: nothing."""
    if source.kind == "sftp":
        key = settings.home / SECRETS / source.key_file
        if not key.is_file():
            return f"our key {key} is not there"
        words = await questions.first_words(source.host, source.port)
        return "" if words.startswith("SSH-") else f"no SFTP server answers at {source.host}:{source.port}"
    path = Path(source.path)
    if not path.is_dir():
        return f"{path} is no folder here"
    if not os.access(path, os.R_OK | os.W_OK | os.X_OK):
        return f"we may not read and write {path}"
    for name in (source.claimed, source.archive, source.refused, source.results):
        if trouble := _place_trouble(path, path / name):
            return trouble
    return ""


def _place_trouble(watched: Path, place: Path) -> str:
    """What keeps files from being moved into a folder of a source. One that is not there yet is made when it is needed."""
    if not place.exists():
        return ""
    if not place.is_dir():
        return f"{place} is no folder"
    if not os.access(place, os.R_OK | os.W_OK | os.X_OK):
        return f"we may not write into {place}"
    if place.stat().st_dev != watched.stat().st_dev:
        return f"{place} is on another file system than the watched folder: no file can be moved there in one step"
    return ""
