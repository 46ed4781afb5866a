"""``fascia config``: every setting as this machine reads it, with secrets masked and where each came from."""

from __future__ import annotations

import json
import os
from typing import Any

from pydantic import AliasChoices
from rich.table import Table

from cli.command import command, noun
from cli.output import Output, plain, table
from workers.settings import ADDRESSES, SECRETS, Settings, load

app = noun("How this machine is set up.")

SECRET_NAMES = ("database_password", "seal_key", "erp_password")


@command(app, "show")
def show(out: Output) -> None:
    """Show every setting, its value and its source (environment, local stack, default); secrets are masked."""
    settings = load()
    rows = [_row(settings, name) for name in Settings.model_fields]
    secrets = [
        {"name": name, "file": str(settings.secret_path(name)), "present": settings.secret_path(name).is_file()}
        for name in SECRET_NAMES
    ]
    out.data(
        {"settings": rows, "secrets": secrets},
        lambda: [_settings(rows), "", _secrets(secrets)],
    )


def _row(settings: Settings, name: str) -> dict[str, Any]:
    variable = _variable(name)
    if os.environ.get(variable):
        source = "environment"
    elif variable in _written(settings):
        source = f"{ADDRESSES}"
    else:
        source = "default"
    value = getattr(settings, name)
    return {"name": name, "variable": variable, "value": _masked(name, value), "source": source}


def _masked(name: str, value: Any) -> Any:
    """A database address keeps all but its password: that is the part one looks for."""
    if name == "database_url" and value.get_secret_value():
        scheme, _, rest = value.get_secret_value().partition("://")
        who, at, where = rest.rpartition("@")
        user = who.partition(":")
        return f"{scheme}://{user[0]}{':********' if user[1] else ''}{at}{where.partition('?')[0]}"
    return plain(value)


def _variable(name: str) -> str:
    alias = Settings.model_fields[name].validation_alias
    if isinstance(alias, AliasChoices):
        return str(alias.choices[0])
    return f"FASCIA_{name.upper()}"


def _written(settings: Settings) -> dict[str, Any]:
    path = settings.home / ADDRESSES
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}


def _settings(rows: list[dict[str, Any]]) -> Table:
    drawn = table("setting", "value", "source")
    for row in rows:
        drawn.add_row(row["variable"], "" if row["value"] is None else str(row["value"]), row["source"])
    return drawn


def _secrets(rows: list[dict[str, Any]]) -> Table:
    drawn = table(f"secret ({SECRETS})", "state", "file")
    for row in rows:
        drawn.add_row(row["name"], "present" if row["present"] else "missing", row["file"])
    return drawn
