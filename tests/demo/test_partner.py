"""The demonstration's suppliers answer as suppliers do: once, under their own numbers, also after a restart."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import asyncssh
import pytest

from demo import partner
from demo.partner_desk import Desk
from demo.partner_mailbox import Mailbox
from demo.partner_script import Trader, load
from demo.partner_state import state_file
from demo.x12_plain import Envelope, Interchange, Segment, element, read, write
from stack.home import free_port

US = Envelope("FASCIANGH", "ALPINEMED")


class Clock:
    """A clock that is put forward by hand."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class Supplier:
    """A desk in a folder of its own, with a clock we hold."""

    def __init__(self, home: Path, trader: Trader) -> None:
        self.home, self.trader, self.clock = home, trader, Clock()
        self.mailbox = Mailbox(home, "ALPINE")
        self.desk = self.restarted()
        self._puts = 0

    def restarted(self) -> Desk:
        self.desk = Desk(self.trader, self.mailbox, state_file(self.home, "ALPINE"), self.clock)
        return self.desk

    def put(self, data: bytes) -> None:
        self._puts += 1
        (self.mailbox.root / "inbound" / f"file_{self._puts:04d}.x12").write_bytes(data)

    def after(self, seconds: float) -> None:
        """Let the desk work, and work again, for so long."""
        end = self.clock.now + seconds
        while self.clock.now <= end:
            self.desk.turn()
            self.clock.now += 0.5

    def sent(self, kind: str) -> list[Interchange]:
        files = sorted((self.mailbox.root / "outbound").glob(f"{kind}_*.x12"))
        return [read(file.read_bytes()) for file in files]

    def told(self, kind: str) -> list[list[Segment]]:
        return [came.groups[0].transactions[0].segments for came in self.sent(kind)]


@pytest.fixture
def supplier(tmp_path: Path) -> Callable[..., Supplier]:
    def make(**items: Any) -> Supplier:
        row = {
            "id": "ALPINEMED",
            "customer": "FASCIANGH",
            "items": {name.replace("_", "-"): told for name, told in items.items()},
        }
        return Supplier(tmp_path, Trader.model_validate(row))

    return make


def order(*lines: Segment, number: str = "NGH-1", **changed: str) -> list[Segment]:
    today = f"{datetime.now(UTC):%Y%m%d}"
    made = list(lines) or [po1()]
    return [
        ["BEG", changed.get("purpose", "00"), "SA", number, "", changed.get("dated", today)],
        ["N1", "ST", "Northfield General Hospital", "92", "NGH-RECV"],
        *made,
        ["CTT", changed.get("count", str(len(made)))],
    ]


def po1(number: str = "1", quantity: str = "10", catalogue: str = "A-1", price: str = "8.40") -> Segment:
    return ["PO1", number, quantity, "BX", price, "", "VC", catalogue, "IN", "ITM-1"]


def envelope(code: str, segments: list[Segment], interchange: int = 7, group: int = 70, number: int = 700) -> bytes:
    return write(US, code, segments, (interchange, group, number))


def find(segments: list[Segment], name: str) -> list[Segment]:
    return [segment for segment in segments if segment[0] == name]


def test_an_order_is_answered_with_acknowledgements_a_ship_notice_and_an_invoice(
    supplier: Callable[..., Supplier],
) -> None:
    alpine = supplier()
    alpine.put(envelope("850", order(po1("1", "10"), po1("2", "3", "A-2", "1.255"))))
    alpine.after(10)
    (functional,) = alpine.told("997")
    assert functional == [["AK1", "PO", "70"], ["AK2", "850", "0700"], ["AK5", "A"], ["AK9", "A", "1", "1", "1"]]
    (answer,) = alpine.told("855")
    assert answer[0][:4] == ["BAK", "00", "AD", "NGH-1"]
    assert [ack[1:4] for ack in find(answer, "ACK")] == [["IA", "10", "BX"], ["IA", "3", "BX"]]
    (notice,) = alpine.told("856")
    assert find(notice, "PRF")[0][1] == "NGH-1"
    assert [sn1[1:4] for sn1 in find(notice, "SN1")] == [["1", "10", "BX"], ["2", "3", "BX"]]
    (bill,) = alpine.told("810")
    assert find(bill, "BIG")[0][4] == "NGH-1"
    assert find(bill, "TDS") == [["TDS", "8777"]]  # 10 x 8.40 + 3 x 1.255, rounded per line


def test_the_same_order_sent_twice_is_one_order_counted_twice(supplier: Callable[..., Supplier]) -> None:
    alpine = supplier()
    alpine.put(envelope("850", order()))
    alpine.after(3)
    alpine.put(envelope("850", order(), interchange=8, group=71))
    alpine.after(10)
    held = alpine.desk.memory.orders["NGH-1"]
    assert (held.times, held.numbers) == (2, [("000000007", "70", "0700"), ("000000008", "71", "0700")])
    assert [len(alpine.told(kind)) for kind in ("997", "855", "856", "810")] == [2, 1, 1, 1]


def test_a_restarted_desk_goes_on_where_it_was_and_forgets_no_number(supplier: Callable[..., Supplier]) -> None:
    alpine = supplier()
    alpine.put(envelope("850", order()))
    alpine.after(1)
    before = {came.number for came in alpine.sent("997")}
    alpine.restarted()
    alpine.after(10)
    assert [len(alpine.told(kind)) for kind in ("997", "855", "856", "810")] == [1, 1, 1, 1]
    numbers = [came.number for kind in ("997", "855", "856", "810") for came in alpine.sent(kind)]
    assert len(set(numbers)) == 4
    assert before < set(numbers)


def test_a_file_read_just_before_a_stop_is_not_counted_again(supplier: Callable[..., Supplier]) -> None:
    alpine = supplier()
    alpine.put(envelope("850", order()))
    (came,) = list(alpine.mailbox.waiting())
    alpine.desk._receive(*came)
    alpine.desk._save()
    alpine.restarted()
    alpine.after(1)
    assert alpine.desk.memory.orders["NGH-1"].times == 1


@pytest.mark.parametrize(
    ("segments", "told"),
    [
        (order(po1(quantity="0")), ["AK4", "2", "", "6"]),
        (order(po1(quantity="ten")), ["AK4", "2", "", "6"]),
        (order(po1(catalogue="")), ["AK4", "7", "", "1"]),
        (order(dated="20261331"), ["AK4", "5", "", "8"]),
        (order(count="2"), ["AK4", "1", "", "7"]),
        (order()[1:], ["AK3", "BEG", "5", "", "3"]),
        ([segment for segment in order() if segment[0] != "PO1"], ["AK3", "PO1", "5", "", "3"]),
    ],
)
def test_an_order_that_lacks_something_is_refused_with_the_place_of_the_fault(
    supplier: Callable[..., Supplier], segments: list[Segment], told: Segment
) -> None:
    alpine = supplier()
    alpine.put(envelope("850", segments))
    alpine.after(5)
    (functional,) = alpine.told("997")
    assert told in functional
    assert find(functional, "AK9")[0][1] == "R"
    assert alpine.desk.memory.orders == {}
    assert alpine.told("855") == []


@pytest.mark.parametrize(
    ("old", "new", "note"),
    [
        (b"IEA*1*000000007", b"IEA*1*000000009", "001"),
        (b"IEA*1*000000007", b"IEA*2*000000007", "021"),
        (b"IEA*1*000000007~\n", b"", "023"),
        (b"ALPINEMED      ", b"SOMEONEELSE    ", "008"),
        (b"FASCIANGH      ", b"ANOTHERSENDER  ", "006"),
        (b"GE*1*70~\n", b"", "022"),
    ],
)
def test_a_broken_envelope_is_answered_with_a_ta1(
    supplier: Callable[..., Supplier], old: bytes, new: bytes, note: str
) -> None:
    alpine = supplier()
    alpine.put(envelope("850", order()).replace(old, new, 1))
    alpine.after(5)
    (reply,) = alpine.sent("TA1")
    assert (element(reply.replies[0], 1), element(reply.replies[0], 4), element(reply.replies[0], 5)) == (
        "000000007",
        "R",
        note,
    )
    assert alpine.desk.memory.orders == {}


def test_what_is_no_x12_at_all_is_kept_and_answered_by_nobody(supplier: Callable[..., Supplier]) -> None:
    alpine = supplier()
    alpine.put(b"\x00\x01 not an interchange")
    alpine.after(5)
    assert [handled.verdict for handled in alpine.desk.memory.handled] == ["not X12: no ISA segment"]
    assert list((alpine.mailbox.root / "outbound").iterdir()) == []


def test_a_set_whose_count_is_wrong_is_refused(supplier: Callable[..., Supplier]) -> None:
    alpine = supplier()
    alpine.put(envelope("850", order()).replace(b"SE*6*", b"SE*9*"))
    alpine.after(5)
    (functional,) = alpine.told("997")
    assert ["AK5", "R", "4"] in functional


def test_a_back_order_ships_and_bills_in_two_parts(supplier: Callable[..., Supplier]) -> None:
    alpine = supplier(A_1={"answer": "IB", "share": "0.6", "rest_after": 5})
    alpine.put(envelope("850", order()))
    alpine.after(20)
    (answer,) = alpine.told("855")
    assert [ack[1:3] for ack in find(answer, "ACK")] == [["IA", "6"], ["IB", "4"]]
    assert [find(notice, "SN1")[0][2] for notice in alpine.told("856")] == ["6", "4"]
    assert [find(bill, "TDS")[0][1] for bill in alpine.told("810")] == ["5040", "3360"]
    assert len({find(bill, "BIG")[0][2] for bill in alpine.told("810")}) == 2


def test_a_changed_price_is_told_and_billed(supplier: Callable[..., Supplier]) -> None:
    alpine = supplier(A_1={"answer": "IP", "price": "9.00"})
    alpine.put(envelope("850", order()))
    alpine.after(10)
    (answer,) = alpine.told("855")
    assert (find(answer, "BAK")[0][2], find(answer, "PO1")[0][4], find(answer, "ACK")[0][1]) == ("AC", "9", "IP")
    assert find(alpine.told("810")[0], "TDS") == [["TDS", "9000"]]


def test_a_substitution_waits_until_the_hospital_says_and_ends_when_it_refuses(
    supplier: Callable[..., Supplier],
) -> None:
    alpine = supplier(A_1={"answer": "IS", "substitute": "A-9"})
    alpine.put(envelope("850", order()))
    alpine.after(20)
    assert find(alpine.told("855")[0], "ACK")[0][7:] == ["VC", "A-9"]
    assert alpine.told("856") == []
    today = f"{datetime.now(UTC):%Y%m%d}"
    change = [["BCH", "04", "SA", "NGH-1", "", "1", today], ["POC", "1", "DI", "10", "10", "BX"], ["CTT", "1"]]
    alpine.put(envelope("860", change, interchange=8, group=71))
    alpine.after(20)
    (answer,) = alpine.told("865")
    assert (answer[0][2], answer[0][3], answer[0][5]) == ("AT", "NGH-1", "1")
    assert find(answer, "ACK")[0][1] == "ID"
    assert alpine.told("856") == []


def test_a_cancelled_order_is_neither_shipped_nor_billed_and_the_same_change_is_answered_once(
    supplier: Callable[..., Supplier],
) -> None:
    alpine = supplier()
    alpine.put(envelope("850", order()))
    alpine.after(1.5)
    cancel = [["BCH", "01", "SA", "NGH-1", "", "1", f"{datetime.now(UTC):%Y%m%d}"]]
    alpine.put(envelope("860", cancel, interchange=8, group=71))
    alpine.put(envelope("860", cancel, interchange=9, group=72))
    alpine.after(20)
    assert [len(alpine.told(kind)) for kind in ("997", "865", "856", "810")] == [3, 1, 0, 0]


def test_a_silent_supplier_answers_when_the_order_is_sent_again(supplier: Callable[..., Supplier]) -> None:
    alpine = supplier(A_1={"silent": 1})
    alpine.put(envelope("850", order()))
    alpine.after(20)
    assert (len(alpine.told("997")), alpine.told("855")) == (1, [])
    alpine.put(envelope("850", order(), interchange=8, group=71))
    alpine.after(5)
    assert len(alpine.told("855")) == 1


def test_bills_go_wrong_as_the_script_says(supplier: Callable[..., Supplier]) -> None:
    alpine = supplier(
        A_1={"billing": {"price": "10.00", "extra": "1"}},
        A_2={"billing": {"again_after": 2}},
        A_3={"billing": {"wrong_order_number": True}},
    )
    for at, catalogue in enumerate(("A-1", "A-2", "A-3")):
        alpine.put(envelope("850", order(po1(catalogue=catalogue), number=f"NGH-{at}"), interchange=at + 1))
    alpine.after(15)
    bills = {order.number: order.invoices for order in alpine.desk.memory.orders.values()}
    assert bills["NGH-0"][0].total == Decimal("110.00")
    assert bills["NGH-1"][0].times == 2
    asked = sorted(find(bill, "BIG")[0][4] for bill in alpine.told("810"))
    assert asked == ["NGH-0", "NGH-1", "NGH-1", "NGH-2X"]


def test_a_remittance_is_booked_on_its_invoice_and_must_add_up(supplier: Callable[..., Supplier]) -> None:
    alpine = supplier()
    alpine.put(envelope("850", order()))
    alpine.after(10)
    (bill,) = alpine.desk.memory.orders["NGH-1"].invoices
    today = f"{datetime.now(UTC):%Y%m%d}"

    def advice(amount: str) -> list[Segment]:
        heading = ["BPR", "I", amount, "C", "ACH", "CCP", "", "", "", "", "", "", "", "", "", "", today]
        return [heading, ["TRN", "1", "PAY-1"], ["RMR", "IV", bill.number, "", "84.00", "84.00"]]

    alpine.put(envelope("820", advice("80.00"), interchange=8))
    alpine.put(envelope("820", advice("84.00"), interchange=9))
    alpine.after(2)
    assert alpine.desk.memory.orders["NGH-1"].invoices[0].paid == Decimal("84.00")
    assert [find(told, "AK9")[0][1] for told in alpine.told("997")] == ["A", "R", "A"]


def test_our_own_acknowledgements_are_remembered_and_never_acknowledged(supplier: Callable[..., Supplier]) -> None:
    alpine = supplier()
    alpine.put(envelope("997", [["AK1", "PR", "3"], ["AK9", "A", "1", "1", "1"]]))
    alpine.after(5)
    (said,) = alpine.desk.memory.said
    assert (said.kind, said.group, said.number, said.code) == ("997", "PR", "3", "A")
    assert alpine.told("997") == []


def test_an_item_the_supplier_does_not_sell_is_refused() -> None:
    alpine = load()["ALPINE"]
    assert alpine.behaviour("ALP-GLV-M").answer == "IA"
    assert alpine.behaviour("NO-SUCH").answer == "R2"


async def test_the_mailbox_lets_in_one_key_and_shows_nothing_beside_itself(tmp_path: Path) -> None:
    port = free_port(taken=set())
    async with await partner.open_mailbox(tmp_path, "ALPINE", port):
        pinned = asyncssh.import_known_hosts(f"[127.0.0.1]:{port} {partner.public_host_key(tmp_path, 'ALPINE')}\n")
        key = str(partner.user_key_file(tmp_path, "ALPINE"))
        options: dict[str, Any] = {"port": port, "username": partner.USER, "known_hosts": pinned, "config": None}
        async with (
            asyncssh.connect("127.0.0.1", client_keys=[key], **options) as connection,
            connection.start_sftp_client() as sftp,
        ):
            async with sftp.open("/inbound/.a.x12.tmp", "wb") as file:
                await file.write(b"ISA")
            await sftp.posix_rename("/inbound/.a.x12.tmp", "/inbound/a.x12")
            assert {".", "..", "inbound", "outbound"} == set(await sftp.listdir("/"))
            assert not await sftp.exists("/../.memory")
        stranger = asyncssh.generate_private_key("ssh-ed25519")
        with pytest.raises(asyncssh.PermissionDenied):
            await asyncssh.connect("127.0.0.1", client_keys=[stranger], **options)
    assert (tmp_path / "partners" / "ALPINE" / "inbound" / "a.x12").read_bytes() == b"ISA"
    assert oct(partner.user_key_file(tmp_path, "ALPINE").stat().st_mode & 0o777) == "0o600"


def test_the_memory_is_a_file_others_can_read(supplier: Callable[..., Supplier]) -> None:
    alpine = supplier()
    alpine.put(envelope("850", order()))
    alpine.after(10)
    told = json.loads(state_file(alpine.home, "ALPINE").read_text())
    assert told["orders"]["NGH-1"]["times"] == 1


def test_a_supplier_told_to_spoil_a_document_leaves_it_spoilt_under_its_own_number(
    supplier: Callable[..., Supplier],
) -> None:
    alpine = supplier(A_1={"ships": False})
    alpine.put(envelope("850", order()))
    alpine.after(3)
    alpine.mailbox.ask(kind="855", order="NGH-1", detail={"spoil": "cut"})
    alpine.mailbox.ask(kind="855", order="NGH-1", detail={"spoil": "headless"})
    alpine.after(3)
    spoilt = [sent for sent in alpine.desk.memory.sent if sent.spoiled]
    outbound = alpine.mailbox.root / "outbound"
    assert [sent.spoiled for sent in spoilt] == ["cut", "headless"]
    assert read((outbound / spoilt[0].file).read_bytes()).note == "023"
    assert find(read((outbound / spoilt[1].file).read_bytes()).groups[0].transactions[0].segments, "BAK") == []
    assert len({sent.number for sent in alpine.desk.memory.sent}) == len(alpine.desk.memory.sent)
