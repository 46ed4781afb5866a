"""Rows of the register about clinicians that mean nothing are told with their field; those that do pass."""

from __future__ import annotations

from typing import Any

import pytest

from adapters.registry import TARGETS, VERIFIERS
from adapters.verification.leie import READ
from canonical.access import AccessTarget
from canonical.base import Canonical
from canonical.clinician_rows import ASKS, SPEAKS, wrong_with
from canonical.credentials import ClinicianPolicy, ClinicianRole, VerificationSource


def target(code: str = "idp", **fields: Any) -> AccessTarget:
    said = {"code": code, "kind": "identity", "adapter": "scim", "url": "https://idp.example/scim/v2"}
    return AccessTarget.model_validate(said | fields)


def source(**fields: Any) -> VerificationSource:
    said = {"code": "board", "kind": "licence", "adapter": "licence_board", "url": "https://board.example"}
    return VerificationSource.model_validate(said | fields)


@pytest.mark.parametrize(
    ("record", "field"),
    [
        (target(adapter="scimm"), "adapter"),
        (target(kind="scheduling"), "adapter"),
        (target(url=""), "url"),
        (target(url="file:///etc/passwd"), "url"),
        (target(url="https://user:secret@idp.example/"), "url"),
        (target(url="idp.example"), "url"),
        (target(token_file="../../etc/shadow"), "token_file"),
        (target(token_file="/etc/shadow"), "token_file"),
        (target(kind="directory", adapter="hl7_pmu", url=""), "channel"),
        (target(after=("nobody",)), "after"),
        (target(after=("idp",)), "after"),
        (target(after=("plan",)), "after"),
        (source(adapter="nppes"), "adapter"),
        (source(url="ftp://board.example"), "url"),
        (source(kind="exclusion", adapter="sam", url=""), "adapter"),
        (source(kind="education"), "kind"),
        (ClinicianPolicy(facility="NGH", approvers=()), "approvers"),
        (ClinicianPolicy(facility="NGH", approvers=("comittee",)), "approvers"),
        (ClinicianPolicy(facility="NGH", warn_days=(90, 0)), "warn_days"),
        (ClinicianPolicy.model_validate({"facility": "NGH", "valid_to": "1999-01-01"}), "valid_to"),
        (ClinicianRole(code="surgeon", checks=()), "checks"),
    ],
    ids=lambda one: one if isinstance(one, str) else None,
)
def test_what_means_nothing_is_told_with_its_field(record: Canonical, field: str) -> None:
    there = {"plan": target("plan", after=("badge",)), "badge": target("badge", after=("idp",))}
    wrong = wrong_with(record, there)
    assert wrong is not None and wrong[0] == field and wrong[1]
    assert "user:secret" not in wrong[1]


@pytest.mark.parametrize(
    "record",
    [
        target(after=("plan",), token_file="idp_token.v2"),
        target(kind="manual", adapter="manual", url=""),
        target(kind="directory", adapter="hl7_mfn_m02", url="", channel="EHR"),
        target(url="http://127.0.0.1:8080"),
        source(),
        source(kind="exclusion", adapter="leie", url=""),
        ClinicianPolicy(facility="NGH"),
        ClinicianRole(code="surgeon"),
        ClinicianRole(code="clerk", clinical_role=False, checks=()),
    ],
)
def test_what_means_something_passes(record: Canonical) -> None:
    assert wrong_with(record, {"plan": target("plan")}) is None


def test_whatever_speaks_or_asks_can_be_named_and_nothing_else() -> None:
    assert {one for adapters in SPEAKS.values() for one in adapters} == set(TARGETS)
    assert {one for adapters in ASKS.values() for one in adapters} == {*VERIFIERS, *READ}
