"""Lives of a clinician's case, from an offer to its end: recorded as histories that later code must still replay."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import timedelta

import pytest
from temporalio import workflow

from tests.workflows.clinician_house import Clinician

Story = Callable[[Clinician], Awaitable[None]]


async def a_clinician_hired_privileged_and_gone(clinician: Clinician) -> None:
    clinician.system("scim", "identity")
    await clinician.privileged()
    await clinician.until("privileged")
    await clinician.stands_there("confirmed")
    await clinician.until("active")
    await clinician.hr("terminate", effective=clinician.begun.date() - timedelta(days=1))
    await clinician.until("terminated")
    await clinician.stands_there("off", active=False)
    assert (await clinician.ended()).closed


async def a_clinician_with_temporary_privileges_that_end(clinician: Clinician) -> None:
    name = await clinician.ready(skipping=True)
    for by in ("E-C1", "E-C2"):
        await clinician.say("temporary", by, privilege=name)
    await clinician.until("temporary privileges")
    await clinician.skip(timedelta(days=119))
    await clinician.until("temporary privileges")
    await clinician.skip(timedelta(days=2))
    change = await clinician.until("in verification")  # what was verified is too old to decide by now
    assert next(line.state for line in change.lines if line.line == "privileges").startswith("before the committee")


async def a_clinician_whose_licence_lapses(clinician: Clinician) -> None:
    lasts = clinician.begun.date() + timedelta(days=40)
    clinician.sources.says["licence"] = {"expires_on": lasts}
    await clinician.privileged(skipping=True)
    await clinician.until("active")
    await clinician.skip(timedelta(days=42))
    await clinician.until("suspended")
    assert "licence:IL: expired" in await clinician.attends("stopped")
    clinician.sources.says["licence"] = {"expires_on": lasts + timedelta(days=365)}
    await clinician.skip(timedelta(days=1))  # asked again the next day, in case it was renewed
    await clinician.until("active")


async def an_offer_withdrawn_before_the_committee(clinician: Clinician) -> None:
    clinician.system("scim", "identity")
    await clinician.ready()
    await clinician.stands_there("confirmed")
    await clinician.say("withdraw", "E-HR")
    await clinician.until("withdrawn")
    await clinician.side("access", "being taken back")
    await clinician.stands_there("off", active=False)
    assert (await clinician.ended()).closed


async def a_clinician_whose_case_becomes_long(clinician: Clinician) -> None:
    await clinician.hired(skipping=True)
    await clinician.until("in verification")
    await clinician.skip(timedelta(days=8))
    await clinician.attends("tasks", reminded=1)
    first = clinician.change()
    assert first is not None
    with pytest.MonkeyPatch.context() as patched:
        too_long = "is_continue_as_new_suggested"
        patched.setattr(workflow.Info, too_long, lambda info: info.get_current_history_length() > 25)
        await clinician.say("verify", check="education", outcome="confirmed", reference="diploma", reason="")
        second = await clinician.run_after(first)
    kept = [(one.document, one.reminded, one.since) for one in first.attention]
    assert [(one.document, one.reminded, one.since) for one in second.attention] == kept
    await clinician.say("verify", check="reference", outcome="confirmed", reference="letter", reason="")
    await clinician.until("committee pending")


STORIES: tuple[Story, ...] = (
    a_clinician_hired_privileged_and_gone,
    a_clinician_with_temporary_privileges_that_end,
    a_clinician_whose_licence_lapses,
    an_offer_withdrawn_before_the_committee,
    a_clinician_whose_case_becomes_long,
)
