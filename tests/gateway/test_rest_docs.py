"""The page that explains the REST door is whole on a network that reaches nothing but us."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from urllib.parse import urlsplit

import pytest

from gateway.rest_docs import page
from gateway.rest_requisitions import EXAMPLE
from tests.gateway.rest_house import House

LEADS_SOMEWHERE = {"src", "href", "action", "formaction", "data", "poster", "srcset", "background", "ping", "cite"}


class Read(HTMLParser):
    """What a browser would find on a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.addresses: list[str] = []
        self.attributes: set[str] = set()
        self.ids: list[str] = []
        self.words: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        for name, value in attrs:
            self.attributes.add(name)
            if name in LEADS_SOMEWHERE:
                self.addresses.append(value or "")
            if name == "id":
                self.ids.append(value or "")

    def handle_data(self, data: str) -> None:
        self.words.append(data)


async def test_the_page_and_all_it_loads_come_from_us(house: House) -> None:
    answer = await house.client.get("/docs")
    assert answer.status_code == 200 and answer.headers["content-type"].startswith("text/html")
    found = Read(answer.text)
    assert not {"script", "iframe", "object", "embed", "base", "form", "style"} & set(found.tags)
    assert "style" not in found.attributes and not [name for name in found.attributes if name.startswith("on")]
    for address in found.addresses:
        assert urlsplit(address)[:2] == ("", ""), f"{address} leads outside"
        if not address.startswith("#"):
            assert (await house.client.get(address)).status_code == 200, address
    style = (await house.client.get("/docs/style.css")).text
    assert not re.search(r"url\(|@import|https?:|//", style)


async def test_a_browser_is_told_to_load_nothing_but_our_style_sheet(house: House) -> None:
    for path in ("/docs", "/docs/style.css"):
        policy = (await house.client.get(path)).headers["content-security-policy"]
        rules = dict(rule.strip().split(" ", 1) for rule in policy.split(";"))
        assert rules.pop("default-src") == "'none'"
        assert set(rules.values()) <= {"'none'", "'self'"} and "script-src" not in rules


async def test_every_question_and_every_form_stands_on_the_page_and_each_link_has_its_place(house: House) -> None:
    schema = (await house.client.get("/openapi.json")).json()
    found = Read((await house.client.get("/docs")).text)
    assert len(found.ids) == len(set(found.ids))
    assert {address[1:] for address in found.addresses if address.startswith("#")} <= set(found.ids)
    for path, operations in schema["paths"].items():
        for method, operation in operations.items():
            assert f"{method.upper()} {path}" in found.words and operation["operationId"] in found.ids
    assert {f"form-{name}" for name in schema["components"]["schemas"]} <= set(found.ids)
    assert json.dumps(EXAMPLE, indent=2, ensure_ascii=False) in found.words


@pytest.mark.parametrize("odd", ["<script>alert(1)</script>", "`<b>`", "a ` b", '`#form" onclick="x`'])
def test_what_a_description_says_is_text_never_markup(odd: str) -> None:
    found = Read(page({"info": {"title": "T", "version": "1", "description": odd}, "paths": {}}))
    assert not {"script", "b"} & set(found.tags) and "onclick" not in found.attributes
    assert "".join(found.words).count(odd.replace("`", "").strip()[:6]) == 1


async def test_no_other_page_of_scripts_is_served(house: House) -> None:
    for path in ("/redoc", "/docs/oauth2-redirect"):
        assert (await house.client.get(path)).status_code == 404
