"""What operators did to keys and to the register stands in the list of deeds: who, when, what; never a secret."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, cast

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from canonical.parties import Facility
from cli.house import KeyRequest
from cli.ours import OurHouse, login
from cli.views import ActView
from store.authority import HOSPITAL
from tests import build
from workers.settings import Settings
from workers.wiring import Wiring

SENDERS = [
    {"code": "WARD", "facility": "NGH", "addresses": ["10.2.0.0/16"], "kinds": ["OMS^O05"]},
    {"code": "OR", "facility": "NGH", "addresses": ["10.3.0.0/16"]},
]


@pytest.fixture
async def house(engine: AsyncEngine, tmp_path: Path) -> OurHouse:
    wiring = Wiring(Settings(home=tmp_path), engine, cast(Any, None))
    wiring.__dict__["seal_key"] = build.SEAL_KEY
    await wiring.register.load("facility", [Facility(code="NGH")], HOSPITAL, "NGH")
    return OurHouse(wiring)


async def deeds(house: OurHouse, about: str = "") -> list[ActView]:
    return list(await house.acts(about, 20))


async def test_a_key_that_is_made_or_revoked_is_a_deed_that_never_tells_the_key(house: OurHouse) -> None:
    asked = KeyRequest(sender="orplan", facility="NGH", scopes=("requisitions", "source:ward-desk"), per_minute=30)
    made = await house.add_keys([asked, KeyRequest(sender="pharmacy", facility="NGH", hmac=True)])
    first = made[0]
    await house.revoke_key(first.id)
    await house.revoke_key(first.id)
    told = await deeds(house)
    assert [(one.verb, one.about) for one in told] == [
        ("key revoke", f"key/{first.id}"),
        ("key add", f"key/{made[1].id}"),
        ("key add", f"key/{first.id}"),
    ]
    assert {(one.actor, one.known_by) for one in told} == {(login(), "os_user")}
    assert told[2].detail == "for orplan at NGH: may requisitions source:ward-desk, a minute 30" and told[2].at
    assert "signs yes" in told[1].detail
    assert not any(key.secret in one.model_dump_json() for one in told for key in made)


async def test_a_load_that_changes_the_register_is_a_deed_and_one_that_does_not_is_none(
    house: OurHouse, tmp_path: Path
) -> None:
    file = tmp_path / "senders.json"
    file.write_text(json.dumps(SENDERS))
    await house.load(file, "sender", "", HOSPITAL, True)
    assert await deeds(house) == []
    for _ in range(2):
        await house.load(file, "sender", "", HOSPITAL, False)
    (deed,) = await deeds(house, "register/sender")
    assert (deed.verb, deed.actor) == ("register load", login())
    assert deed.detail == "senders.json, the word of hospital: 2 changed: WARD, OR"
    file.write_text(json.dumps([SENDERS[0] | {"per_minute": 60}, SENDERS[1]]))
    await house.load(file, "sender", "", HOSPITAL, False)
    assert (await deeds(house))[0].detail.endswith(": 1 changed: WARD")
