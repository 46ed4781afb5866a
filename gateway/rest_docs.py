"""The page ``/docs``: every question the REST door answers, drawn here from our own OpenAPI description.

A hospital's network reaches no public server of scripts, and a strict Content-Security-Policy allows none: the page has no
script at all, its one style sheet is ours, and nothing on it leads anywhere else. Programs read ``/openapi.json``.
"""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import Element, SubElement, tostring

from fastapi import FastAPI
from fastapi.responses import HTMLResponse, Response

POLICY = "default-src 'none'; style-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
HEADERS = {"Content-Security-Policy": POLICY, "X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer"}
STYLE = Path(__file__).with_name("rest_docs.css")
METHODS = ("get", "put", "post", "patch", "delete")

Schema = Mapping[str, Any]


def add_docs(app: FastAPI) -> None:
    """Serve the page and its style sheet."""

    @app.get("/docs", include_in_schema=False)
    async def docs() -> HTMLResponse:
        return HTMLResponse(page(app.openapi()), headers=HEADERS)

    @app.get("/docs/style.css", include_in_schema=False)
    async def style() -> Response:
        return Response(STYLE.read_bytes(), media_type="text/css", headers=HEADERS)


def page(described: Schema) -> str:
    """An OpenAPI description as one HTML page; what it says is text on it, never markup."""
    about = described["info"]
    html = Element("html", lang="en")
    head = SubElement(html, "head")
    SubElement(head, "meta", charset="utf-8")
    SubElement(head, "meta", name="viewport", content="width=device-width, initial-scale=1")
    SubElement(head, "title").text = f"{about['title']} {about['version']}"
    SubElement(head, "link", rel="stylesheet", href="/docs/style.css")
    body = SubElement(html, "body")
    main = SubElement(body, "main")
    SubElement(main, "h1").text = f"{about['title']} {about['version']}"
    for told in (about.get("summary", ""), about.get("description", "")):
        _text(main, told)
    for scheme in described.get("components", {}).get("securitySchemes", {}).values():
        _text(main, f"Send `Authorization: {scheme.get('scheme', '')} KEY`. {scheme.get('description', '')}")
    SubElement(SubElement(main, "p"), "a", href="/openapi.json").text = "openapi.json, for programs"
    by_tag: dict[str, list[tuple[str, str, Schema]]] = defaultdict(list)
    for path, method, operation in _operations(described):
        by_tag[(operation.get("tags") or ["others"])[0]].append((path, method, operation))
    _contents(main, by_tag)
    for tag, operations in by_tag.items():
        SubElement(main, "h2", id=f"tag-{tag}").text = tag
        for path, method, operation in operations:
            _operation(main, path, method, operation)
    SubElement(main, "h2", id="forms").text = "forms"
    for name, schema in sorted(described.get("components", {}).get("schemas", {}).items()):
        _form(main, name, schema)
    return "<!DOCTYPE html>\n" + tostring(html, encoding="unicode", method="html")


def _operations(described: Schema) -> Iterator[tuple[str, str, Schema]]:
    for path, held in described["paths"].items():
        for method in METHODS:
            if method in held:
                yield path, method, held[method]


def _contents(main: Element, by_tag: Mapping[str, Sequence[tuple[str, str, Schema]]]) -> None:
    nav = SubElement(main, "nav", {"aria-label": "Contents"})
    for tag, operations in by_tag.items():
        SubElement(SubElement(nav, "p"), "a", href=f"#tag-{tag}").text = tag
        listed = SubElement(nav, "ul")
        for path, method, operation in operations:
            link = SubElement(SubElement(listed, "li"), "a", href=f"#{operation['operationId']}")
            SubElement(link, "code").text = f"{method.upper()} {path}"
            link[-1].tail = f" {operation.get('summary', '')}"
    SubElement(SubElement(nav, "p"), "a", href="#forms").text = "forms"


def _operation(main: Element, path: str, method: str, operation: Schema) -> None:
    part = SubElement(main, "section", id=operation["operationId"])
    SubElement(SubElement(part, "h3"), "code").text = f"{method.upper()} {path}"
    _text(part, operation.get("summary", ""))
    _text(part, operation.get("description", ""))
    if parameters := operation.get("parameters", ()):
        rows = _table(part, "Parameters", "name", "in", "what", "about")
        for one in parameters:
            told = one.get("description", "") or one["schema"].get("description", "")
            _row(rows, _named(one["name"], bool(one.get("required"))), one["in"], kind(one["schema"]), told)
    for media, content in operation.get("requestBody", {}).get("content", {}).items():
        _labelled(part, f"Body ({media})", content.get("schema", {}))
        for name, example in content.get("examples", {}).items():
            SubElement(part, "p").text = f"For example, {name}:"
            SubElement(part, "pre").text = json.dumps(example["value"], indent=2, ensure_ascii=False)
    rows = _table(part, "Answers", "status", "what", "about")
    for status, answer in operation.get("responses", {}).items():
        schemas = [content.get("schema", {}) for content in answer.get("content", {}).values()]
        _row(rows, status, kind(schemas[0]) if schemas else "", answer.get("description", ""))


def _form(main: Element, name: str, schema: Schema) -> None:
    part = SubElement(main, "section", id=f"form-{name}")
    SubElement(SubElement(part, "h3"), "code").text = name
    _text(part, schema.get("description", ""))
    fields = schema.get("properties", {})
    if not fields:
        _labelled(part, "It is", schema)
        return
    rows = _table(part, "Fields", "name", "what", "about")
    for field, held in fields.items():
        _row(rows, _named(field, field in schema.get("required", ())), kind(held), held.get("description", ""))


def kind(schema: Schema) -> str:
    """What a value is, in one line; a form is named in backticks with ``#`` before it."""
    if "$ref" in schema:
        return f"`#{schema['$ref'].rpartition('/')[2]}`"
    if some := schema.get("anyOf") or schema.get("oneOf") or schema.get("allOf"):
        return " or ".join(dict.fromkeys(kind(one) for one in some))
    if "enum" in schema:
        return "one of " + ", ".join(f"`{one}`" for one in schema["enum"])
    if "const" in schema:
        return f"`{schema['const']}`"
    if schema.get("type") == "array":
        return f"list of {kind(schema.get('items') or {})}"
    limits = [f"{word} {schema[name]}" for name, word in _LIMITS.items() if name in schema]
    said = " ".join(filter(None, (str(schema.get("type", "anything")), schema.get("format", ""))))
    return ", ".join([said, *limits])


_LIMITS = {
    "minLength": "from length", "maxLength": "up to length", "minimum": "at least", "exclusiveMinimum": "more than",
    "maximum": "at most", "exclusiveMaximum": "less than", "pattern": "of pattern", "default": "else",
}  # fmt: skip


def _labelled(part: Element, label: str, schema: Schema) -> None:
    _text(part, f"{label}: {kind(schema)}")


def _named(name: str, required: bool) -> str:
    return f"`{name}`{' (required)' if required else ''}"


def _table(part: Element, caption: str, *columns: str) -> Element:
    table = SubElement(part, "table")
    SubElement(table, "caption").text = caption
    head = SubElement(SubElement(table, "thead"), "tr")
    for column in columns:
        SubElement(head, "th", scope="col").text = column
    return SubElement(table, "tbody")


def _row(rows: Element, *cells: str) -> None:
    row = SubElement(rows, "tr")
    for cell in cells:
        _written(SubElement(row, "td"), cell)


def _text(parent: Element, told: str) -> None:
    for paragraph in re.split(r"\n\s*\n", told.strip()):
        if paragraph:
            _written(SubElement(parent, "p"), paragraph)


def _written(parent: Element, told: str) -> None:
    """Text whose words in backticks are code, and links to a form where they begin with ``#``."""
    last: Element | None = None
    for place, piece in enumerate(told.split("`")):
        if place % 2:
            linked = piece.startswith("#") and piece[1:].isidentifier()
            holder = SubElement(parent, "a", href=f"#form-{piece[1:]}") if linked else parent
            code = SubElement(holder, "code")
            code.text = piece[1:] if linked else piece
            last = holder if linked else code
        elif last is None:
            parent.text = piece
        else:
            last.tail = piece
