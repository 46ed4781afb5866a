"""How HR systems that are asked stand."""

from __future__ import annotations

from sqlalchemy import Column, Table

from store.tables import Words, metadata, moment, words

# An HR system that could not be read, until it is read again: since when, from when on people are told, and why as a code.
hr_away = Table(
    "hr_away",
    metadata,
    Column("sender", Words, primary_key=True),
    moment("since"),
    moment("tell_at"),
    words("why"),
    words("owner"),
)
