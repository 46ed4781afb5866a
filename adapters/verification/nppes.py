"""The national registry of providers (NPPES): is this number a person's, active, of this name, and for what.

API v2.1, https://npiregistry.cms.hhs.gov/api-page: one criterion at least, 200 results a page, and no result past the 1,200th.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Mapping
from datetime import datetime
from typing import Any, Final

import httpx

from adapters import lookup
from canonical.check_digits import NPI_RULE, is_npi
from canonical.credentials import ClinicianRole, Evidence
from canonical.errors import Rejected
from canonical.people import ClinicianRecord
from canonical.verifying import RegistryEntry, of_registry, same_number

VERSION: Final = "2.1"
PAGE: Final = 200
CODE: Final = re.compile(r"[a-z0-9_]{1,40}")
FURTHEST: Final = 1000  # the last page that can be asked for begins there


class Nppes:
    """One NPPES, by its address."""

    def __init__(self, client: httpx.AsyncClient, code: str, url: str) -> None:
        self._client, self._code, self._url = client, code, url

    async def check(self, record: ClinicianRecord, subject: str, role: ClinicianRole, as_of: datetime) -> Evidence:
        """What the registry says of the person's NPI; without one, whether it knows the person by name and licence.

        Raises:
            Rejected: (data-missing) there is no NPI and nobody is found, (check-digit) the number is none, or (data-invalid)
                the registry does not take the question.
        """
        if not record.npi:
            return await self._found(record, as_of)
        if not is_npi(record.npi):
            raise Rejected(f"the record's NPI: {NPI_RULE}", code="check-digit", system=self._code)
        results = await self._page({"number": record.npi})
        entries = [_entry(one, self._code) for one in results]
        if any(entry.npi != record.npi for entry in entries):
            raise lookup.nonsense(self._code, "it answered about another number than was asked")
        return of_registry(record, entries[0] if entries else None, role, self._code, as_of)

    async def _found(self, record: ClinicianRecord, as_of: datetime) -> Evidence:
        """Somebody without an NPI in our record: a licence that the registry has too tells who it is; a person takes it over."""
        name, held = record.name, record.licences
        if name.family and held:
            criteria = {"first_name": name.given, "last_name": name.family, "state": held[0].state}
            async for result in self.search({key: value for key, value in criteria.items() if value}):
                if any(_holds(result, licence.state, licence.number) for licence in held):
                    return Evidence(
                        state="possible",
                        finding="npi-missing",
                        detail="the registry has a provider with this name and licence: put the NPI into the record",
                        source=self._code,
                        verified_on=as_of.date(),
                    )
        raise Rejected("the record has no NPI to ask about", code="data-missing", system=self._code)

    async def search(self, criteria: Mapping[str, str]) -> AsyncIterator[Mapping[str, Any]]:
        """The individual providers that fit, as far as the registry gives them.

        Raises:
            Rejected: (too-many) more fit than it gives: it must be asked more narrowly.
        """
        asked = {"enumeration_type": "NPI-1", **criteria, "limit": str(PAGE)}
        for skip in range(0, FURTHEST + 1, PAGE):
            results = await self._page({**asked, "skip": str(skip)})
            for one in results:
                yield one
            if len(results) < PAGE:
                return
        most = FURTHEST + PAGE
        raise Rejected(f"more than {most} providers fit: ask more narrowly", code="too-many", system=self._code)

    async def _page(self, criteria: Mapping[str, str]) -> list[Mapping[str, Any]]:
        params = {"version": VERSION, **criteria}
        answer = await lookup.ask(self._client, self._url, system=self._code, params=params)
        if answer is None:
            raise lookup.nonsense(self._code, "nobody serves the registry at its address")
        if errors := answer.get("Errors"):
            raise Rejected(f"the registry refuses the question{_where(errors)}", code="data-invalid", system=self._code)
        results = answer.get("results")
        if not isinstance(results, list) or answer.get("result_count") != len(results):
            raise lookup.nonsense(self._code)
        return results


def _where(errors: Any) -> str:
    """Of which field the first error is, and its number; its description may repeat whom we asked about."""
    first = errors[0] if isinstance(errors, list) else None
    said = [str(first.get(name) or "") for name in ("field", "number")] if isinstance(first, dict) else []
    named = [one for one in said if CODE.fullmatch(one)]
    return f" ({', '.join(named)})" if named else ""


def _entry(result: Any, system: str) -> RegistryEntry:
    try:
        basic = result["basic"]
        others = [one for one in result.get("other_names") or () if one.get("last_name")]
        names = [basic, *others]
        return RegistryEntry(
            npi=str(result["number"]),
            individual=result["enumeration_type"] == "NPI-1",
            active=basic.get("status") == "A" and not basic.get("deactivation_date"),
            names=tuple((one.get("last_name") or "", one.get("first_name") or "") for one in names),
            taxonomies=tuple(one["code"] for one in result.get("taxonomies") or () if one.get("code")),
            updated=str(basic.get("last_updated") or ""),
        )
    except (KeyError, TypeError, AttributeError):
        raise lookup.nonsense(system) from None


def _holds(result: Mapping[str, Any], state: str, number: str) -> bool:
    """Whether the registry has this licence for the provider."""
    held = result.get("taxonomies") or ()
    return any(one.get("state") == state and one.get("license") and same_number(one["license"], number) for one in held)
