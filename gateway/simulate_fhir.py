"""Shows what a FHIR resource, or each entry of a Bundle, would become if its sender sent it today."""

from __future__ import annotations

from canonical.base import Canonical
from canonical.errors import Malformed
from canonical.senders import Sender
from formats import fhir
from formats.fhir import Issue, Release, Resource, Tree
from gateway.fhir_judge import DOOR, faults, id_without, with_id
from gateway.fhir_requisitions import PATH, groups
from gateway.mapping import in_force
from gateway.registry import fhir_feed, read_fhir
from gateway.simulate import Book, Problem, Simulated, code_of


def simulate(data: bytes, book: Book, *, sender: str, facility: str, release: str) -> list[Simulated]:
    """What a file of FHIR JSON would become, resource by resource; in the release it fits where none is named.

    Raises:
        Malformed: it is no FHIR JSON, there is no such release, or a sender is named that nobody knows.
    """
    tree = fhir.parse(data)
    if release and release not in fhir.RELEASES:
        raise Malformed(f"a release is {' or '.join(fhir.RELEASES)}", path="release", code="data-invalid")
    said, known = _sender(book, sender, facility)
    releases = (
        [fhir.RELEASES[release]] if release else sorted(fhir.RELEASES.values(), key=lambda one: -float(one.version[:3]))
    )
    bundled = tree.get("resourceType") == fhir.BUNDLE  # lines of a group are read with their Bundle
    tried = [[_one(part, one, said, known, book, bundled=bundled) for part in _parts(tree, one)] for one in releases]
    return min(tried, key=lambda found: sum(len(one.problems) for one in found))


def _parts(tree: Tree, release: Release) -> list[tuple[Resource | None, tuple[Issue, ...]]]:
    """Each resource with what is wrong with what it is wrapped in."""
    try:
        whole = fhir.of(tree, release)
        if whole.type != fhir.BUNDLE:
            return [(whole, ())]
        parts = [(one.resource, one.issues) for one in fhir.entries(whole)]
        return [(whole, ()), *parts] if groups(whole) else parts
    except fhir.Unreadable as no:
        return [(None, no.issues)]


def _one(
    part: tuple[Resource | None, tuple[Issue, ...]],
    release: Release,
    sender: Sender,
    known: bool,
    book: Book,
    *,
    bundled: bool,
) -> Simulated:
    resource, wrong = part
    about = Simulated(kind=release.kind(fhir.BUNDLE), sender=sender.code, facility=sender.facility, known=known)
    problems = [_problem(issue) for issue in wrong]
    if resource is None:
        return about.model_copy(update={"problems": tuple(problems)})
    feed = fhir_feed(resource.kind, sender.code)
    status = 0
    if resource.type != fhir.BUNDLE:  # of which each entry is looked at
        status, found = faults(resource, sender, lambda kind, code: fhir_feed(kind, code) is not None)
        problems += [_problem(issue, refuses=status != 0) for issue in found]
    nouns: tuple[Canonical, ...] = ()
    if feed is not None and not status and not (bundled and resource.type == PATH and resource.group):
        try:
            known_by = with_id(resource, id_without(fhir.write(resource.tree)))
            nouns = read_fhir(feed, known_by, sender, in_force(book.mappings, sender.code, book.as_of))
        except Malformed as no:
            problems.append(Problem(path=no.path, reason=no.message))
    identifier = resource.identifier
    said = {"kind": resource.kind, "control": identifier.value if identifier else "", "reads": feed is not None}
    return about.model_copy(update={**said, "problems": tuple(problems), "nouns": nouns})


def _sender(book: Book, named: str, facility: str) -> tuple[Sender, bool]:
    """A resource does not say who sends it: without a name it is read as one that speaks our codes."""
    if named and book.senders:
        return book.named(named), True
    code = code_of(named) or "UNKNOWN"
    return Sender(code=code, facility=code_of(facility) or "UNKNOWN", dialect=DOOR), False


def _problem(issue: Issue, *, refuses: bool = True) -> Problem:
    return Problem(path=issue.expression, reason=issue.text, refuses=refuses)
