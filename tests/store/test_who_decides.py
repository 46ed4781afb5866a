"""Who a login is at the command line: found in the register as the case finds them, and told what to do where it is nobody's."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from canonical.cases import Actor, Answer, Decision
from canonical.errors import Rejected
from canonical.parties import Employee, Facility
from cli.exits import Exit, Stop, exit_for
from cli.ours import OurHouse
from store.authority import HOSPITAL
from store.register import StoredRegister
from workers.settings import Settings
from workers.wiring import Wiring

CASE = "procure_to_pay/NGH/or-desk/R-1"
MITO = Actor(id="mito", known_by="os_user")


class Engine:
    """A case that refuses everybody."""

    def __init__(self) -> None:
        self.asked: list[Decision] = []

    async def decide(self, case: str, decision: Decision) -> Answer:
        self.asked.append(decision)
        raise Rejected("the one who decides is not an active employee", code="not-allowed")


@pytest.fixture
async def house(engine: AsyncEngine, tmp_path: Path) -> OurHouse:
    (tmp_path / "secrets").mkdir()
    (tmp_path / "secrets" / "seal_key").write_text("the key of the tests")
    register = StoredRegister(engine)
    await register.load("facility", [Facility(code="NGH")], HOSPITAL)
    buyer = Employee(id="E-BUY", facility="NGH", name="M. Ito", os_user="mito", roles=("buyer",))
    report = await register.load("employee", [buyer], HOSPITAL, "NGH")
    assert report.loaded == 1, report.refused
    return OurHouse(Wiring(Settings(home=tmp_path), engine, cast(Any, None)))


async def test_a_dry_run_finds_that_a_login_is_nobodys_or_has_no_such_role(house: OurHouse) -> None:
    assert "step is yours" in await house.may_decide(CASE, Decision(verb="cancel", reason="x", actor=MITO))
    stranger = Decision(verb="cancel", reason="x", actor=Actor(id="root", known_by="os_user"))
    for refused, words in (
        (stranger, "the login root"),
        (Decision(verb="release", actor=MITO), "for the roles finance"),
    ):
        with pytest.raises(Stop, match=words) as told:
            await house.may_decide(CASE, refused)
        assert exit_for(told.value) is Exit.NOT_ALLOWED


async def test_a_refused_login_hears_which_it_was_and_what_to_do_and_the_case_was_asked_all_the_same(
    house: OurHouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = Engine()
    monkeypatch.setattr(Wiring, "engine", engine)
    stranger = Decision(verb="cancel", reason="x", actor=Actor(id="root", known_by="os_user"))
    with pytest.raises(Stop) as told:
        await house.decide(CASE, stranger)
    assert "the login root" in told.value.message and "at NGH" in told.value.message
    assert "os_user of employees.csv" in told.value.hint and "FASCIA_API_KEY" in told.value.hint
    assert len(engine.asked) == 1, "what was tried stands with the case"
    with pytest.raises(Rejected, match="not an active employee"):
        await house.decide(CASE, Decision(verb="cancel", reason="x", actor=MITO))
