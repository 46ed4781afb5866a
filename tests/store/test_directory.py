"""Directories are told of people by our channels: the suite over a real queue and a real listener, and what they were told."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator

import pytest
from hl7apy.consts import VALIDATION_LEVEL
from hl7apy.parser import parse_message
from hl7apy.validation import Validator
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncEngine

from adapters.directory.channel import ChannelDirectory
from canonical.access import AccessTarget, Wanted
from canonical.errors import Rejected, Unavailable
from canonical.parties import Facility
from canonical.people import PersonName
from canonical.people_ports import ClinicianTarget
from formats import fhir, hl7
from store.authority import HOSPITAL
from store.directory import StoredDirectory
from store.people_tables import directory_said
from store.register import StoredRegister
from store.tables import messages
from tests.adapters.contract_targets import TargetContract, nobody_any_more, somebody
from tests.adapters.test_fhir_channel import Server
from tests.adapters.test_fhir_channel import server as fhir_server  # noqa: F401 a fixture
from tests.store.channel import Lane, lane
from tests.store.channel_house import scripted

TARGET = AccessTarget(code="EHR", kind="directory", adapter="hl7_mfn_m02", channel="LAB")


@pytest.fixture
async def way(engine: AsyncEngine) -> AsyncIterator[Lane]:
    async with lane(engine, version="2.5.1") as one:
        await known(engine, one)
        yield one


async def known(engine: AsyncEngine, one: Lane) -> None:
    """The register has the channel."""
    register = StoredRegister(engine)
    await register.load("facility", [Facility(code="NGH")], HOSPITAL)
    await register.load("channel", [one.channel], HOSPITAL)


class HereContract(TargetContract):
    """The suite, where what is written leaves by a channel."""

    @pytest.fixture(autouse=True)
    def _lane(self, way: Lane) -> None:
        self.lane = way

    async def arrived(self) -> None:
        await self.lane.drain()


class TestMasterFile(HereContract):
    """HL7 MFN^M02."""

    @pytest.fixture
    def system(self, engine: AsyncEngine) -> ClinicianTarget:
        return ChannelDirectory(TARGET, StoredDirectory(engine), "mfn")


class TestPersonnelManagement(HereContract):
    """HL7 PMU."""

    @pytest.fixture
    def system(self, engine: AsyncEngine) -> ClinicianTarget:
        return ChannelDirectory(TARGET, StoredDirectory(engine), "pmu")


class TestPractitionerRole(HereContract):
    """FHIR PractitionerRole."""

    @pytest.fixture
    async def way(self, engine: AsyncEngine, fhir_server: Server) -> AsyncIterator[Lane]:  # noqa: F811
        host, port = fhir_server.server_address[:2]
        async with lane(engine, kind="fhir", path="/fhir", host=str(host), port=int(port)) as one:
            await known(engine, one)
            yield one

    @pytest.fixture
    def system(self, engine: AsyncEngine) -> ClinicianTarget:
        return ChannelDirectory(TARGET, StoredDirectory(engine), "fhir")

    async def test_each_facility_has_its_role_and_the_one_left_is_ended(
        self,
        system: ClinicianTarget,
        way: Lane,
        fhir_server: Server,  # noqa: F811
    ) -> None:
        wanted = somebody()
        other = wanted.held[0].model_copy(update={"facility": "LAKE"})
        await self._write(system, wanted.model_copy(update={"held": (*wanted.held, other)}))
        await self._write(system, wanted)
        roles = {tree["organization"]["identifier"]["value"]: tree for tree in fhir_server.trees.values()}
        assert {place: tree["active"] for place, tree in roles.items()} == {"NGH": True, "LAKE": False}
        assert roles["NGH"]["contained"][0]["name"][0]["family"] == "Ashgrove"
        assert "contained" not in roles["LAKE"]  # nobody needs a name to hear that somebody has left
        for tree in roles.values():
            assert not fhir.check(fhir.read(fhir.write(tree), fhir.R5))


def hl7_sound(data: bytes) -> bool:
    """Our own check and hl7apy's find nothing wrong."""
    text = "\r".join(segment.text for segment in hl7.read(data))
    parsed = parse_message(text, validation_level=VALIDATION_LEVEL.STRICT, find_groups=True)
    ours = hl7.check(hl7.read(data))
    return not ours.faults and not Validator.validate(parsed, return_errors=True).errors


@pytest.mark.parametrize("form", ["mfn", "pmu"])
async def test_what_leaves_is_sound_hl7_and_says_what_became_of_somebody(
    engine: AsyncEngine, way: Lane, form: str
) -> None:
    system = ChannelDirectory(TARGET, StoredDirectory(engine), form)
    wanted = somebody()
    renamed = wanted.model_copy(
        update={"record": wanted.record.model_copy(update={"name": PersonName(family="B|^~\\& Sons", given="P")})}
    )
    for step in (wanted, renamed, nobody_any_more(wanted), wanted):
        await system.write(step)
        await way.drain()
    assert [hl7_sound(data) for data in way.server.got] == [True] * 4
    read = [hl7.read(data) for data in way.server.got]
    said = [(one.first("MFE") or one.first("EVN")).value(1) for one in read]  # type: ignore[union-attr]
    assert said == (["MAD", "MUP", "MDC", "MAC"] if form == "mfn" else ["B01", "B02", "B05", "B04"])
    flags = [one.first("STF").value(7) for one in read]  # type: ignore[union-attr]
    assert flags == ["A", "A", "I", "A"]
    assert {one.first("STF").value(1).split("^")[0] for one in read} == {wanted.person}  # type: ignore[union-attr]


async def test_what_is_not_taken_yet_is_not_seen_as_off(engine: AsyncEngine, way: Lane) -> None:
    system = ChannelDirectory(TARGET, StoredDirectory(engine), "mfn")
    wanted = somebody()
    await system.write(wanted)
    await way.drain()
    seen = await system.write(nobody_any_more(wanted))
    assert (seen.active, seen.as_wanted) == (True, False)
    await way.drain()
    assert not (await system.look(nobody_any_more(wanted))).active


async def test_what_the_directory_refuses_is_said_again_when_it_is_asked_for_again(engine: AsyncEngine) -> None:
    async with lane(engine, scripted("AR"), on_dead="go on") as one:
        await known(engine, one)
        system = ChannelDirectory(TARGET, StoredDirectory(engine), "mfn")
        wanted = somebody()
        await system.write(wanted)
        await one.drain()
        seen = await system.look(wanted)
        assert (seen.as_wanted, seen.finding) == (False, "not-taken")
        await system.write(wanted)
        await one.drain()
        assert (await system.look(wanted)).as_wanted and len(one.server.got) == 2


async def test_who_was_never_taken_is_told_as_new_again_and_whoever_was_is_not(engine: AsyncEngine) -> None:
    """A directory that refused somebody has nobody it could change, and refuses every change of them."""
    async with lane(engine, scripted("AR", "AR", "AA", "AR"), on_dead="go on") as one:
        await known(engine, one)
        system = ChannelDirectory(TARGET, StoredDirectory(engine), "mfn")
        wanted = somebody()
        renamed = wanted.model_copy(
            update={"record": wanted.record.model_copy(update={"name": PersonName(family="Birch", given="P")})}
        )
        for step in (wanted, renamed, renamed, wanted, wanted):
            await system.write(step)
            await one.drain()
        said = [hl7.read(data).first("MFE").value(1) for data in one.server.got]  # type: ignore[union-attr]
    assert said == ["MAD", "MAD", "MAD", "MUP", "MUP"]


async def test_two_who_write_at_once_say_one_thing_after_the_other(engine: AsyncEngine, way: Lane) -> None:
    system = ChannelDirectory(TARGET, StoredDirectory(engine), "mfn")
    wanted = somebody()

    async def told(step: Wanted) -> str:
        try:
            await system.write(step)
        except Unavailable as crossed:
            return crossed.code
        return "told"

    outcomes = await asyncio.gather(*(told(step) for step in (wanted, nobody_any_more(wanted)) * 4))
    assert set(outcomes) <= {"told", "crossed"}
    async with engine.connect() as connection:
        last = await connection.scalar(select(directory_said.c.number))
        queued = await connection.scalar(select(func.count()).select_from(messages).where(messages.c.kind == "MFN^M02"))
    assert last == queued


async def test_a_target_without_its_channel_is_for_a_person(engine: AsyncEngine, way: Lane) -> None:
    nowhere = TARGET.model_copy(update={"channel": "NOWHERE"})
    with pytest.raises(Rejected, match="NOWHERE") as refused:
        await ChannelDirectory(nowhere, StoredDirectory(engine), "mfn").write(somebody())
    assert refused.value.code == "configuration"
    with pytest.raises(Rejected, match="fhir"):
        await ChannelDirectory(TARGET, StoredDirectory(engine), "fhir").write(somebody())


async def test_a_name_stands_in_the_message_alone(engine: AsyncEngine, way: Lane) -> None:
    await ChannelDirectory(TARGET, StoredDirectory(engine), "mfn").write(somebody())
    async with engine.connect() as connection:
        said = [dict(row) for row in (await connection.execute(select(directory_said))).mappings()]
        kept = [dict(row) for row in (await connection.execute(select(messages))).mappings()]
    plain = [{name: value for name, value in row.items() if not isinstance(value, bytes)} for row in kept]
    assert said and kept and not re.search("Ashgrove|Perpetua", repr([said, plain]))
