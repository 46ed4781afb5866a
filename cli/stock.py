"""``fascia stock``: what our locations hold."""

from __future__ import annotations

from cli.command import noun

app = noun("Stock: what our locations hold.")
