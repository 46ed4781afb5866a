"""What no row of the register may say, whatever it is of."""

from __future__ import annotations

from canonical.base import Canonical
from canonical.errors import Malformed
from canonical.senders import Sender
from canonical.supply import Item


class Refused(Exception):
    """A row is not taken: where in it, and why."""

    def __init__(self, path: str, reason: str) -> None:
        self.path, self.reason = path, reason


def check_words(record: Canonical) -> None:
    """Texts that can be kept, and a sender that means something.

    Raises:
        Refused: it has none.
    """
    if "\\u0000" in record.model_dump_json():
        raise Refused("", "a NUL character in a text")
    if isinstance(record, Sender) and (wrong := record.means_nothing()):
        raise Refused(*wrong)


def check_units(item: Item) -> None:
    """Every unit a supplier sells an item by must be known of it.

    Raises:
        Refused: one is not.
    """
    for sold in item.suppliers:
        try:
            item.base_units(sold.order_unit, sold.supplier)
        except Malformed as wrong:
            raise Refused("suppliers", f"{sold.supplier} sells it by {sold.order_unit}: {wrong.message}") from None
