"""What Journal, Numbering and Cases promise, whoever keeps them: the same suite for our database and for the fakes."""

from __future__ import annotations

import json
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from canonical.base import content_hash
from canonical.cases import Actor, Attention, CaseChange, Decision, DecisionToCheck, LineState, Trouble
from canonical.messages import NewMessage
from canonical.parties import Employee, Facility
from canonical.ports import Unmatched
from canonical.seals import sealed_document
from canonical.steps import DocumentsToCheck, SupplierDocument
from store.decisions import DOCUMENT_UNSEALED
from tests.store.build import NOW, SEAL_KEY, change, requisition, start
from tests.store.contract_asking import AskingContract
from tests.store.contract_journal import JournalContract, NumberingContract, Stores
from tests.store.contract_orders import OrderContract


class ClaimContract:
    async def test_the_first_start_claims_and_its_retry_keeps_the_claim(self, stores: Stores) -> None:
        first = await stores.cases.claim(start(requisition()))
        again = await stores.cases.claim(start(requisition()))
        assert (first.outcome, first.generation, first.requisition) == ("claimed", 1, requisition())
        assert again == first
        message = await stores.journal.read(first.message)
        assert message is not None
        assert (message.state, message.door, message.case) == ("routed", "temporal", requisition().case_id)

    async def test_another_start_with_the_same_content_is_a_duplicate(self, stores: Stores) -> None:
        await stores.cases.claim(start(requisition()))
        spelt = requisition().model_dump_json().replace('"5"', '"5.000"').encode()
        other = await stores.cases.claim(start(requisition(), "run-2", data=spelt))
        assert (other.outcome, other.first) == ("duplicate", requisition().case_id)

    async def test_another_start_with_other_content_is_a_conflict(self, stores: Stores) -> None:
        await stores.cases.claim(start(requisition()))
        other = await stores.cases.claim(start(requisition(emergency=True), "run-2"))
        assert (other.outcome, other.first) == ("conflict", requisition().case_id)
        assert (await stores.cases.claim(start(requisition()))).outcome == "claimed"

    async def test_a_start_that_a_door_announced_is_linked_to_its_message(self, stores: Stores) -> None:
        one = requisition()
        message = (await stores.journal.keep(NewMessage(door="rest", data=b"as it came", key="k"))).message.id
        announced = await stores.cases.announce(one.case_id, content_hash(one), message)
        claimed = await stores.cases.claim(start(one))
        assert (announced.outcome, claimed.outcome, claimed.message) == ("new", "claimed", message)

    async def test_one_case_of_a_message_in_a_stream_says_not_that_the_message_is_done(self, stores: Stores) -> None:
        """It may ask for several: that all of them have begun only its router knows."""
        one = requisition()
        new = NewMessage(door="mllp", data=b"for two", key="k", stream="WARD/1")
        message = (await stores.journal.keep(new)).message.id
        await stores.cases.announce(one.case_id, content_hash(one), message)
        for _ in range(2):  # also when its run is reset
            assert (await stores.cases.claim(start(one))).message == message
        kept = await stores.journal.read(message)
        assert kept is not None and kept.state == "validated"
        assert [waits.id for waits in await stores.journal.next_to_route(0, 1)] == [message]

    @pytest.mark.parametrize(
        "data", [b"{}", requisition("R-OTHER").model_dump_json().encode()], ids=["none", "misnamed"]
    )
    async def test_a_malformed_start_gives_its_place_to_the_right_one(self, stores: Stores, data: bytes) -> None:
        one = requisition()
        malformed = start(one, data=data)
        first = await stores.cases.claim(malformed)
        assert first.outcome in ("unreadable", "misnamed")
        bytes_of = one.model_dump_json().encode()
        message = (await stores.journal.keep(NewMessage(door="rest", data=bytes_of, key="k"))).message.id
        announced = await stores.cases.announce(one.case_id, content_hash(one), message)
        assert (announced.outcome, announced.started) == ("new", False)
        for _ in range(2):  # told to look again; and when its run is reset
            taken = await stores.cases.claim(malformed)
            assert (taken.outcome, taken.requisition, taken.message) == ("claimed", one, message)
        kept = await stores.journal.read(first.message)
        assert kept is not None and kept.state == "dead" and kept.reason.startswith(f"superseded by message {message}")
        assert (await stores.cases.announce(one.case_id, content_hash(one), message)).started
        assert (await stores.cases.claim(start(one, "run-2"))).outcome == "duplicate"

    async def test_a_malformed_start_gives_its_place_also_to_what_came_in_other_words_than_ours(
        self, stores: Stores
    ) -> None:
        """Its message is HL7: only the claim knows what it says in ours."""
        one = requisition()
        malformed = start(one, data=b"{}")
        assert (await stores.cases.claim(malformed)).outcome == "unreadable"
        new = NewMessage(door="mllp", data=b"MSH|^~\\&|", key="k", stream="WARD/1")
        message = (await stores.journal.keep(new)).message.id
        said = one.model_dump_json(exclude_defaults=True)
        assert (await stores.cases.announce(one.case_id, content_hash(one), message)).outcome == "new"
        assert (await stores.cases.claim(malformed)).outcome == "unreadable", "claimed by a version that kept nothing"
        assert (await stores.cases.announce(one.case_id, content_hash(one), message, said)).outcome == "same"
        for _ in range(2):  # told to look again; and when its run is reset
            taken = await stores.cases.claim(malformed)
            assert (taken.outcome, taken.requisition, taken.message) == ("claimed", one, message)
        assert (await stores.cases.announce(one.case_id, content_hash(one), message, said)).started
        await stores.cases.raise_generation(one.case_id)
        resumed = await stores.cases.claim(start(one, "run-2", data=b"{}"))
        assert (resumed.outcome, resumed.requisition) == ("resumed", one)

    async def test_a_message_announced_again_does_not_go_back(self, stores: Stores) -> None:
        one = requisition()
        message = (await stores.journal.keep(NewMessage(door="rest", data=b"as it came", key="k"))).message.id
        await stores.cases.announce(one.case_id, content_hash(one), message)
        await stores.journal.mark(message, "routed")
        await stores.cases.announce(one.case_id, content_hash(one), message)
        kept = await stores.journal.read(message)
        assert kept is not None and kept.state == "routed"

    async def test_doors_hear_whether_a_case_is_new_the_same_or_a_conflict(self, stores: Stores) -> None:
        one = requisition()
        ask = stores.cases.announce
        assert (await ask(one.case_id, content_hash(one), "m1")).outcome == "new"
        assert (await ask(one.case_id, content_hash(one), "m2")).outcome == "same"
        assert (await ask(one.case_id, "another", "m3")).outcome == "conflict"

    async def test_a_start_with_other_content_than_announced_is_a_conflict(self, stores: Stores) -> None:
        one = requisition()
        await stores.cases.announce(one.case_id, content_hash(one), "")
        assert (await stores.cases.claim(start(requisition(emergency=True)))).outcome == "conflict"
        assert (await stores.cases.claim(start(one))).outcome == "claimed"

    async def test_a_resumed_case_goes_on_from_what_it_carried(self, stores: Stores) -> None:
        one = requisition()
        await stores.cases.claim(start(one))
        await stores.cases.record(change(one.case_id, 7, carried='{"so":"far"}'))
        assert await stores.cases.raise_generation(one.case_id) == 2
        resumed = await stores.cases.claim(start(one, "run-2"))
        assert (resumed.outcome, resumed.generation, resumed.revision) == ("resumed", 2, 7)
        assert resumed.carried == '{"so":"far"}'
        assert (await stores.cases.claim(start(one, "run-2"))).outcome == "resumed"
        assert (await stores.cases.claim(start(one, "run-1"))).outcome == "duplicate"

    async def test_a_run_that_was_reset_goes_on_from_what_its_case_carried(self, stores: Stores) -> None:
        one = requisition()
        message = (await stores.journal.keep(NewMessage(door="rest", data=b"as it came", key="k"))).message.id
        await stores.cases.announce(one.case_id, content_hash(one), message)
        assert (await stores.cases.claim(start(one))).carried == ""
        assert (await stores.cases.claim(start(one))).carried == "", "a first step tried again"
        await stores.cases.record(change(one.case_id, 7, carried='{"so":"far"}'))
        again = await stores.cases.claim(start(one))
        assert (again.outcome, again.generation, again.revision) == ("claimed", 1, 7)
        assert (again.message, again.carried) == (message, '{"so":"far"}')

    async def test_a_corrected_case_is_resumed_although_its_first_bytes_do_not_read(self, stores: Stores) -> None:
        one = requisition()
        assert (await stores.cases.claim(start(one, data=b"{"))).outcome == "unreadable"
        assert (await stores.cases.claim(start(one))).outcome == "claimed"
        await stores.cases.raise_generation(one.case_id)
        assert (await stores.cases.claim(start(one, "run-2", data=b"{"))).outcome == "resumed"

    @pytest.mark.parametrize(
        ("data", "path"),
        [
            (b"", "document"),
            (b"{", "document"),
            (b"null", "document"),
            (b"NaN", "document"),
            (b"\xff\xfe\x00", "document"),
            (b"[" * 100_000, "document"),
            (b'"' + b"a" * 3_000_000 + b'"', "document"),
            (b'{"facility": 7}', "facility"),
            (b'{"number": "a\\u0000b"}', "facility"),
        ],
    )
    async def test_what_does_not_read_is_said_with_its_path(self, stores: Stores, data: bytes, path: str) -> None:
        found = await stores.cases.claim(start(requisition(), data=data))
        assert found.outcome == "unreadable" and found.problem is not None
        assert (found.problem.kind, found.problem.path) == ("data-invalid", path)
        message = await stores.journal.read(found.message)
        assert message is not None and (message.data, message.state) == (data, "dead")

    @pytest.mark.parametrize(
        ("change_it", "path"),
        [
            ({"urgent": True}, "urgent"),
            ({"emergency": "perhaps"}, "emergency"),
            ({"lines": []}, "lines"),
            ({"number": "a\x00b"}, "number"),
            ({"note": "x" * 5000}, "note"),
            ({"lines": [{"id": "1", "item": "A", "quantity": {"value": 1.5}}]}, "lines.0.quantity.value"),
            ({"lines": [{"id": "1", "item": "A", "quantity": {"value": "NaN"}}]}, "lines.0.quantity.value"),
            ({"lines": [{"id": "1", "item": "A", "quantity": {"value": "1e999999999"}}]}, "lines.0.quantity.value"),
        ],
    )
    async def test_each_wrong_field_is_named(self, stores: Stores, change_it: dict[str, Any], path: str) -> None:
        content = json.loads(requisition().model_dump_json(exclude_defaults=True)) | change_it
        found = await stores.cases.claim(start(requisition(), data=json.dumps(content).encode()))
        assert found.outcome == "unreadable" and found.problem is not None and found.problem.path == path

    async def test_another_encoding_is_unreadable_and_takes_no_number(self, stores: Stores) -> None:
        found = await stores.cases.claim(start(requisition(), encoding="binary/encrypted"))
        assert found.outcome == "unreadable" and found.problem is not None and found.problem.path == "encoding"
        assert (await stores.cases.claim(start(requisition(), "run-2"))).outcome == "claimed"

    async def test_a_start_under_a_wrong_name_takes_no_number(self, stores: Stores) -> None:
        found = await stores.cases.claim(start(requisition(), case="my-workflow\x00"))
        assert found.outcome == "misnamed" and found.problem is not None
        assert (await stores.cases.claim(start(requisition(), "run-2"))).outcome == "claimed"

    @pytest.mark.parametrize(
        "data", [requisition().model_dump_json().encode(), b"{}"], ids=["a requisition", "nothing"]
    )
    async def test_a_start_under_an_orders_name_is_listed_and_is_of_no_case(self, stores: Stores, data: bytes) -> None:
        request = start(requisition(), case="purchase_order/NGH/PO000054", data=data)
        for _ in range(2):  # its first step may be tried twice
            found = await stores.cases.claim(request)
            assert found.outcome == "conflict" and "a name of purchase_order" in found.reason
        kept = await stores.journal.read(found.message)
        assert kept is not None and (kept.data, kept.state, kept.case) == (request.data, "dead", "")
        assert (await stores.cases.announce(request.case, "", "")).outcome == "new", "the name is still free"


class ReadModelContract:
    async def test_the_last_change_is_the_status(self, stores: Stores) -> None:
        case = requisition().case_id
        assert await stores.cases.status(case) is None
        attention = Attention(kind="price", reason="too\x00dear", line="1", verbs=("accept",))
        line = LineState(line="1", state="ordered", ordered=Decimal("5.5"))
        await stores.cases.record(change(case, 1, attention=(attention,)))
        await stores.cases.record(change(case, 2, lines=(line,), due=NOW, owner="buyers"))
        found = await stores.cases.status(case)
        assert found is not None
        assert (found.business_state, found.owner, found.due, found.revision) == ("revision 2", "buyers", NOW, 2)
        assert found.attention == () and found.lines == (line,)

    async def test_an_older_revision_or_generation_does_not_overwrite(self, stores: Stores) -> None:
        case = requisition().case_id

        async def after(what: CaseChange) -> str:
            await stores.cases.record(what)
            found = await stores.cases.status(case)
            return found.business_state if found else ""

        assert await after(change(case, 5)) == "revision 5"
        assert await after(change(case, 4)) == "revision 5"
        assert await after(change(case, 5, business_state="again")) == "revision 5"
        assert await after(change(case, 2, run="reset")) == "revision 2"
        assert await after(change(case, 1, run="resumed", generation=2)) == "revision 1"
        assert await after(change(case, 9, run="reset")) == "revision 1"

    async def test_what_a_run_says_when_it_takes_its_steps_again_holds(self, stores: Stores) -> None:
        """A worker wrote, and died before Temporal heard of it: the repeat may know more, and need fewer revisions."""
        case, later = requisition().case_id, change("", 6).changed_at
        for revision in (1, 2, 3):
            await stores.cases.record(change(case, revision))
        await stores.cases.record(change(case, 2, business_state="with more to go by", changed_at=later))
        found = await stores.cases.status(case)
        assert found is not None and (found.business_state, found.revision) == ("with more to go by", 2)
        await stores.cases.record(change(case, 2))
        found = await stores.cases.status(case)
        assert found is not None and found.business_state == "with more to go by", (
            "what was lost comes late and is no news"
        )

    async def test_a_raised_generation_silences_the_run_before(self, stores: Stores) -> None:
        case = requisition().case_id
        await stores.cases.claim(start(requisition()))
        await stores.cases.record(change(case, 1))
        await stores.cases.raise_generation(case)
        await stores.cases.record(change(case, 2))
        found = await stores.cases.status(case)
        assert found is not None and found.revision == 1

    async def test_trouble_is_shown_and_cleared(self, stores: Stores) -> None:
        trouble = Trouble(case="c", system="erp", step="create", since=NOW, message="refused")
        await stores.cases.trouble(trouble)
        await stores.cases.trouble(trouble.model_copy(update={"since": NOW + timedelta(hours=1)}))
        shown = await stores.extra["troubles"]("c")
        assert [(found.system, found.since) for found in shown] == [("erp", NOW)]
        await stores.cases.trouble(trouble.model_copy(update={"since": None}))
        assert await stores.extra["troubles"]("c") == []

    async def test_a_step_that_went_well_clears_its_trouble_with_whatever_system(self, stores: Stores) -> None:
        for system, step in (("erp", "create"), ("store", "create"), ("erp", "pay")):
            await stores.cases.trouble(Trouble(case="c", system=system, step=step, since=NOW))
        await stores.cases.trouble(Trouble(case="c", system="", step="create"))
        assert [one.step for one in await stores.extra["troubles"]("c")] == ["pay"]

    async def test_an_unmatched_document_is_listed_once(self, stores: Stores) -> None:
        document = Unmatched(id="u1", kind="invoice", number="INV-9", at=NOW, document="{}")
        await stores.cases.put_unmatched(document)
        await stores.cases.put_unmatched(document.model_copy(update={"reason": "again"}))
        assert await stores.extra["unmatched"]() == [document]


class DecisionContract:
    @staticmethod
    def ask(actor: Actor, *, sealed: bool = True, **fields: Any) -> DecisionToCheck:
        decision = Decision(verb="approve", actor=actor, id="d1", **fields)
        case = requisition().case_id
        given = decision.sealed(case, SEAL_KEY) if sealed else decision
        return DecisionToCheck(case=case, facility="NGH", decision=given, as_of=NOW)

    async def test_a_sealed_decision_is_by_the_employee_behind_the_login(self, stores: Stores) -> None:
        await stores.employ(Employee(id="E-7", facility="NGH", roles=("manager",), os_user="mito"))
        found = await stores.cases.check(self.ask(Actor(id="mito", known_by="os_user")))
        assert (found.verified, found.employee, found.roles, found.why_not) == (True, "E-7", ("manager",), "")

    async def test_a_person_named_by_id_is_found(self, stores: Stores) -> None:
        await stores.employ(Employee(id="E-7", facility="NGH", roles=("manager",)))
        found = await stores.cases.check(self.ask(Actor(id="E-7", known_by="api_key")))
        assert (found.verified, found.employee) == (True, "E-7")

    async def test_a_login_is_no_employee_id(self, stores: Stores) -> None:
        await stores.employ(Employee(id="root", facility="NGH", roles=("cfo",)))
        found = await stores.cases.check(self.ask(Actor(id="root", known_by="os_user")))
        assert found.employee is None and "os_user" in found.why_not and "root" not in found.why_not

    async def test_a_case_of_a_facility_nobody_has_is_for_support_and_admin_of_any(self, stores: Stores) -> None:
        await stores.extra["site"](Facility(code="NGH", name="Northfield"))
        await stores.employ(Employee(id="E-7", facility="NGH", roles=("buyer",), os_user="seven"))
        await stores.employ(Employee(id="E-8", facility="NGH", roles=("support",), os_user="eight"))
        found = {}
        for facility in ("NHG", "NGH", "unknown"):
            for login in ("seven", "eight"):
                asked = self.ask(Actor(id=login, known_by="os_user")).model_copy(update={"facility": facility})
                checked = await stores.cases.check(asked)
                found[facility, login] = (checked.employee, checked.elsewhere)
        assert found["NHG", "eight"] == found["unknown", "eight"] == ("E-8", True)
        assert found["NHG", "seven"] == found["unknown", "seven"] == (None, False)
        assert (found["NGH", "seven"], found["NGH", "eight"]) == (("E-7", False), ("E-8", False))

    async def test_an_inactive_or_foreign_person_may_not(self, stores: Stores) -> None:
        await stores.employ(Employee(id="E-8", facility="NGH", active=False, os_user="eight"))
        await stores.employ(Employee(id="E-9", facility="OTHER", os_user="nine"))
        for login in ("eight", "nine"):
            found = await stores.cases.check(self.ask(Actor(id=login, known_by="os_user")))
            assert found.employee is None and found.why_not

    async def test_without_a_valid_seal_no_actor_is_believed(self, stores: Stores) -> None:
        await stores.employ(Employee(id="E-7", facility="NGH", roles=("manager",), os_user="mito"))
        good = self.ask(Actor(id="mito", known_by="os_user"))
        forged = [
            self.ask(Actor(id="mito", known_by="os_user"), sealed=False),
            good.model_copy(update={"case": "another"}),
            good.model_copy(update={"decision": good.decision.model_copy(update={"verb": "cancel"})}),
            good.model_copy(update={"decision": good.decision.model_copy(update={"seal": "ä"})}),
            self.ask(Actor(id="E-7", known_by="temporal")),
        ]
        for request in forged:
            found = await stores.cases.check(request)
            assert (found.verified, found.employee, found.roles) == (False, None, ())
            assert found.decision.actor == Actor() and found.why_not

    async def test_a_document_is_ours_only_with_our_seal_for_its_case(self, stores: Stores) -> None:
        case = "purchase_order/NGH/PO-1"
        document = SupplierDocument(key="K-1", message="M-1", cancelled_in_erp=True)
        sealed = sealed_document(document, case, SEAL_KEY)
        ours = sealed.model_dump_json().encode()
        later = json.dumps(json.loads(ours), indent=2).encode()
        forged = [
            document.model_dump_json().encode(),
            sealed.model_copy(update={"message": "M-2"}).model_dump_json().encode(),
            sealed.model_copy(update={"seal": "ä"}).model_dump_json().encode(),
            sealed_document(document, "purchase_order/NGH/PO-2", SEAL_KEY).model_dump_json().encode(),
            sealed_document(document, case, b"another key").model_dump_json().encode(),
        ]
        request = DocumentsToCheck(case=case, documents=(ours, *forged, later), as_of=NOW)
        for _ in range(2):
            checked = await stores.cases.check_documents(request)
            assert checked.sealed == (True, *[False] * len(forged), True)
        assert await stores.extra["unreadable"](case) == [(data, DOCUMENT_UNSEALED) for data in forged], "kept once"

    async def test_a_decision_nobody_can_read_is_kept(self, stores: Stores) -> None:
        await stores.cases.keep_unreadable_decision("c", b"\x00{", "not a decision", NOW)
        await stores.cases.keep_unreadable_decision("c", b"\x00{", "not a decision", NOW)
        await stores.cases.keep_unreadable_decision("c", b"{}", "hold: the case is closed", NOW, read=True)
        assert await stores.extra["unreadable"]("c") == [(b"\x00{", "not a decision")]


class StoreContract(
    JournalContract,
    NumberingContract,
    ClaimContract,
    AskingContract,
    OrderContract,
    ReadModelContract,
    DecisionContract,
):
    """All of it."""
