# SPDX-License-Identifier: GPL-3.0-or-later
"""Every document an integration makes can carry its key, and no two documents of a kind carry the same one.

A client that did not hear back repeats its create with the same key. The database refuses the second insert even
while the first is not yet committed, so the client then looks the key up and goes on with the record it finds.
"""

from trytond.model import Unique, fields
from trytond.pool import PoolMeta


class Keyed:
    """Adds the key to a model; a copy of a record is another record and starts without one."""

    __slots__ = ()

    fascia_key = fields.Char("Fascia key", strip=False, help="Set by the integration that made this record.")

    @classmethod
    def __setup__(cls):
        super().__setup__()
        table = cls.__table__()
        cls._sql_constraints.append(
            ("fascia_key_taken", Unique(table, table.fascia_key), "fascia_key.msg_fascia_key_taken")
        )

    @classmethod
    def copy(cls, records, default=None):
        default = {} if default is None else default.copy()
        default.setdefault("fascia_key", None)
        return super().copy(records, default=default)


class Amendment(Keyed, metaclass=PoolMeta):
    __name__ = "purchase.amendment"


class Employee(Keyed, metaclass=PoolMeta):
    __name__ = "company.employee"

    # What payroll pays by, as HR says it; the payroll system reads it here.
    fascia_cost_centre = fields.Char("Cost centre", help="Who pays for the position: the code of an analytic account.")
    fascia_department = fields.Char("Department")
    fascia_role = fields.Char("Role")
    fascia_employment = fields.Char("Employment", help="Employed, contracted, locum or volunteer.")
    fascia_pay_grade = fields.Char("Pay grade")
    fascia_fte = fields.Numeric("Part of a full position", digits=(4, 3))


class Inventory(Keyed, metaclass=PoolMeta):
    __name__ = "stock.inventory"


class Invoice(Keyed, metaclass=PoolMeta):
    __name__ = "account.invoice"


class Lot(Keyed, metaclass=PoolMeta):
    __name__ = "stock.lot"


class Move(Keyed, metaclass=PoolMeta):
    __name__ = "stock.move"

    fascia_line = fields.Char(
        "Fascia line", strip=False, help="The integration's line this is moved for; kept when the move is split."
    )
    fascia_cost_centre = fields.Char("Cost centre", help="Whose use it is, where goods were used.")
    fascia_reference = fields.Char(
        "Reference", strip=False, help="An opaque reference to what it was used for; says nothing of a person."
    )


class Party(Keyed, metaclass=PoolMeta):
    __name__ = "party.party"


class Payment(Keyed, metaclass=PoolMeta):
    __name__ = "account.payment"


class Purchase(Keyed, metaclass=PoolMeta):
    __name__ = "purchase.purchase"


class Requisition(Keyed, metaclass=PoolMeta):
    __name__ = "purchase.requisition"


class ShipmentIn(Keyed, metaclass=PoolMeta):
    __name__ = "stock.shipment.in"


class ShipmentInReturn(Keyed, metaclass=PoolMeta):
    __name__ = "stock.shipment.in.return"


class ShipmentInternal(Keyed, metaclass=PoolMeta):
    __name__ = "stock.shipment.internal"
