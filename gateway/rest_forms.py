"""How the REST description shows what is sent: its model, and examples of it by title."""

from __future__ import annotations

from typing import Any


def request_body(model: str, **examples: dict[str, Any]) -> dict[str, Any]:
    """What a path says of the JSON it takes, which it reads by itself (OpenAPI 3.1, 4.8.13 Request Body Object)."""
    shown = {title.replace("_", " "): {"value": value} for title, value in examples.items()}
    content = {"schema": {"$ref": f"#/components/schemas/{model}"}, "examples": shown}
    return {"requestBody": {"required": True, "content": {"application/json": content}}}
