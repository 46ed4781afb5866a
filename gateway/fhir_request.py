"""What a FHIR request says beside its resource: its release and type, formats, preferences, parameters.

hl7.org/fhir/R5/http.html, sections on content types, parameters and the Prefer header.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass
from typing import Final

from starlette.requests import Request

from formats import fhir
from formats.fhir import Issue, Release
from gateway.fhir_faults import MEDIA_TYPE, Refused

BASE: Final = "/fhir"
JSON: Final = frozenset({MEDIA_TYPE, "application/json"})
FORMATS: Final = JSON | {"json"}
ANY: Final = frozenset({"*/*", "application/*"})
NEVER: Final = frozenset({"0", "0.0", "0.00", "0.000"})
RETURNS: Final = ("minimal", "representation", "OperationOutcome")
FORMAT: Final = "_format"  # the one parameter that is taken everywhere
ECHOED: Final = ("x-request-id", "x-correlation-id")
LONGEST_KEY: Final = 200
_PRINTABLE: Final = re.compile(rf"[\x21-\x7e]{{1,{LONGEST_KEY}}}")


@dataclass(frozen=True, slots=True)
class Preference:
    """What a caller prefers: to hear what (``returns``), and whether a parameter nobody reads refuses its request."""

    returns: str = "representation"
    strict: bool = True


def release_of(request: Request) -> Release:
    """The release of the address.

    Raises:
        Refused: there is none of that name.
    """
    found = fhir.RELEASES.get(request.path_params["release"])
    if found is None:
        raise Refused(404, f"There are {' and '.join(f'{BASE}/{name}' for name in fhir.RELEASES)}")
    return found


def type_of(request: Request, *more: str) -> str:
    """The type of resource of the address: one we take, or one of ``more``.

    Raises:
        Refused: nobody sends such resources here.
    """
    kind: str = request.path_params["type"]
    types = (*release_of(request).types, *more)
    if kind not in types:
        raise Refused(404, [Issue("not-supported", f"Resources here are {', '.join(types)}")])
    return kind


def base_of(request: Request) -> str:
    """The address of the release, as the caller named our host."""
    return f"{str(request.base_url).rstrip('/').removesuffix(BASE)}{BASE}/{request.path_params['release']}"


def media_type(release: Release) -> str:
    """How what we write of a release is called."""
    return f"{MEDIA_TYPE}; fhirVersion={release.version.rpartition('.')[0]}"


def acceptable(request: Request) -> None:
    """JSON is what we write, in the release of the address.

    Raises:
        Refused: the caller takes nothing of that.
    """
    if asked := request.query_params.get(FORMAT):
        wanted = [asked.replace(" ", "+")]  # a plus in a query is a space
    else:
        wanted = ",".join(request.headers.getlist("accept")).split(",")
    for one in wanted:
        kind, _, parameters = one.partition(";")
        said = _parameters(parameters)
        taken = kind.strip().lower() in FORMATS | ANY or (not asked and not kind.strip() and len(wanted) == 1)
        if taken and _in_utf8(said) and said.get("q", "1") not in NEVER and _same_release(said, release_of(request)):
            return
    raise Refused(406, f"Only {MEDIA_TYPE} of the release of this address is written here")


async def body_of(request: Request) -> bytes:
    """The body, which says that it is JSON of the release of the address.

    Raises:
        Refused: it says something else.
    """
    kind, _, parameters = request.headers.get("content-type", "").partition(";")
    said = _parameters(parameters)
    if kind.strip().lower() not in JSON or not _in_utf8(said):
        raise Refused(415, f"Send {MEDIA_TYPE} in UTF-8: XML and other formats are not read")
    if not _same_release(said, release := release_of(request)):
        raise Refused(415, f"This address is for FHIR {release.version}")
    if request.headers.get("content-encoding", "identity").lower() != "identity":
        raise Refused(415, "Send it as it is: compressed bodies are not read")
    return await request.body()


def preference(request: Request) -> Preference:
    """What the Prefer header says; what it says that we do not know counts for nothing."""
    said = ",".join(request.headers.getlist("prefer")).replace(";", ",").split(",")
    pairs = [
        (name.strip().lower(), value.strip().strip('"')) for name, _, value in (one.partition("=") for one in said)
    ]
    returns = next((value for name, value in pairs if name == "return" and value in RETURNS), "representation")
    handling = next((value for name, value in pairs if name == "handling" and value in ("strict", "lenient")), "strict")
    return Preference(returns, strict=handling == "strict")


def parameters(request: Request, known: Collection[str] = ()) -> list[tuple[str, str]]:
    """The parameters of the address that are ``known``. One nobody reads is a filter its sender believes in.

    Raises:
        Refused: there is another, and the caller does not say that it may be passed over (``Prefer: handling=lenient``).
    """
    given = [(name, value) for name, value in request.query_params.multi_items() if name != FORMAT]
    unknown = [name for name, _ in given if name not in known]
    if unknown and preference(request).strict:
        said = f"it takes {', '.join(sorted(known))}" if known else "it takes none"
        raise Refused(400, [Issue("not-supported", f"A parameter is none of this address: {said}")])
    return [(name, value) for name, value in given if name in known]


def idempotency_key(request: Request) -> str:
    """The caller's own name of the request, empty where it has none.

    Raises:
        Refused: it is too long.
    """
    key = request.headers.get("idempotency-key", "").strip()
    if len(key) > LONGEST_KEY:
        raise Refused(400, f"An Idempotency-Key has at most {LONGEST_KEY} signs")
    return key


def echoed(request: Request) -> dict[str, str]:
    """What the caller calls its request, to be said back; what is no name (blanks, signs, too long) is not."""
    return {name: value for name in ECHOED if _PRINTABLE.fullmatch(value := request.headers.get(name, ""))}


def _parameters(text: str) -> dict[str, str]:
    pairs = [one.partition("=") for one in text.split(";") if "=" in one]
    return {name.strip().lower(): value.strip().strip('"') for name, _, value in pairs}


def _in_utf8(said: dict[str, str]) -> bool:
    return said.get("charset", "utf-8").lower() in ("utf-8", "utf8")


def _same_release(said: dict[str, str], release: Release) -> bool:
    """``fhirVersion`` names a release by its first two numbers."""
    return said.get("fhirversion", release.version).split(".")[:2] == release.version.split(".")[:2]
