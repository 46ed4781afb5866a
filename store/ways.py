"""The whole way of one line: the bytes that asked for it, the order it became, and every paper that followed, down to the ERP's."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime

from sqlalchemy import or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from canonical.base import Canonical
from canonical.cases import DocumentRef, LineState
from store.case_tables import case_lines, cases, documents
from store.lineage import SENT_KINDS
from store.tables import claims, messages


class WayStep(Canonical):
    """One step: what it is, and how deep it hangs below what it came from."""

    depth: int = 0
    kind: str
    name: str
    system: str = ""
    state: str = ""
    at: datetime | None = None
    detail: str = ""


class LineWay(Canonical):
    """The way of one line, in the order things followed from each other."""

    line: str
    item: str = ""
    steps: tuple[WayStep, ...] = ()


class _Case(Canonical):
    case: str
    process: str
    parent: str = ""
    business_state: str = ""
    opened_at: datetime
    message: str | None = None


class _Document(Canonical):
    case: str
    ref: DocumentRef
    first_at: datetime


class _Message(Canonical):
    id: str
    direction: str
    door: str
    partner: str = ""
    kind: str = ""
    control_number: str = ""
    state: str = ""
    hash: str = ""
    size: int = 0
    at: datetime


class _Family:
    """A requisition's case with its orders' cases: all their lines, documents and messages."""

    def __init__(
        self,
        of: Iterable[_Case],
        lines: Iterable[tuple[str, LineState]],
        papers: Iterable[_Document],
        letters: Iterable[_Message],
    ) -> None:
        self.cases = {case.case: case for case in of}
        self.lines = list(lines)
        self.papers = sorted(papers, key=lambda paper: (paper.first_at, paper.ref.name))
        self.letters = {letter.id: letter for letter in letters}

    def ways(self, case: str) -> list[LineWay]:
        """The way of each line of a case."""
        return [
            LineWay(line=line.line, item=line.item, steps=tuple(self._way(case, line)))
            for owner, line in self.lines
            if owner == case
        ]

    def _way(self, case: str, line: LineState) -> Iterable[WayStep]:
        own = self.cases[case]
        root, asked = (self.cases.get(own.parent), line.requisition_line) if own.parent else (own, line.line)
        if root is not None:
            if root.message in self.letters:
                yield self._letter(self.letters[root.message or ""], 0)
            yield WayStep(kind=root.process, name=root.case, state=root.business_state, at=root.opened_at)
            yield from self._papers(root.case, asked, 1)
        for owner, ordered in self.lines:
            if owner == case and own.parent and ordered.line != line.line:
                continue
            child = self.cases[owner]
            if child.parent and ordered.requisition_line == asked and (not own.parent or owner == case):
                yield WayStep(
                    depth=1,
                    kind=child.process,
                    name=child.case,
                    state=child.business_state,
                    at=child.opened_at,
                    detail=f"line {ordered.line}: {ordered.state}",
                )
                yield from self._papers(owner, ordered.line, 2)

    def _papers(
        self, case: str, line: str, depth: int, parent: str = "", seen: tuple[str, ...] = ()
    ) -> Iterable[WayStep]:
        mine = [
            paper for paper in self.papers if paper.case == case and (not paper.ref.lines or line in paper.ref.lines)
        ]
        names = {paper.ref.name for paper in mine}
        for paper in mine:
            ref = paper.ref
            below = ref.parent if ref.parent in names and ref.parent != ref.name else ""
            if below != parent or ref.name in seen:
                continue
            letter = self.letters.get(ref.message)
            sent = ref.kind in SENT_KINDS
            if letter is not None and not sent:
                yield self._letter(letter, depth)
            yield WayStep(
                depth=depth,
                kind=ref.kind,
                name=ref.number,
                system=ref.system,
                state=ref.state,
                at=paper.first_at,
                detail=str(ref.amount) if ref.amount else "",
            )
            if letter is not None and sent:
                yield self._letter(letter, depth + 1)
            yield from self._papers(case, line, depth + 1, ref.name, (*seen, ref.name))

    @staticmethod
    def _letter(letter: _Message, depth: int) -> WayStep:
        number = f", control number {letter.control_number}" if letter.control_number else ""
        return WayStep(
            depth=depth,
            kind=f"message {letter.direction}",
            name=letter.id,
            system=" ".join(filter(None, (letter.door, letter.partner))),
            state=letter.state,
            at=letter.at,
            detail=f"{letter.size} bytes, sha-256 {letter.hash[:12]}{number}",
        )


async def ways(connection: AsyncConnection, case: str) -> Sequence[LineWay]:
    """The way of each line of a case, also where it leads through another case."""
    parent = await connection.scalar(select(cases.c.parent).where(cases.c.case == case))
    if parent is None:
        return []
    family = select(cases.c.case).where(
        or_(cases.c.case == case, cases.c.parent == case, *([cases.c.case == parent] if parent else []))
    )
    found = await connection.execute(
        select(cases, claims.c.message)
        .join(claims, claims.c.case == cases.c.case, isouter=True)
        .where(cases.c.case.in_(family))
        .order_by(cases.c.opened_at, cases.c.case)
    )
    of = [_Case.model_validate(dict(row)) for row in found.mappings()]
    names = [one.case for one in of]
    lines = await connection.execute(
        select(case_lines).where(case_lines.c.case.in_(names)).order_by(case_lines.c.case, case_lines.c.position)
    )
    papers = [
        _Document(case=row.case, ref=DocumentRef.model_validate_json(row.content), first_at=row.first_at)
        for row in await connection.execute(select(documents).where(documents.c.case.in_(names)))
    ]
    wanted = {paper.ref.message for paper in papers} | {one.message or "" for one in of}
    letters = await connection.execute(
        select(*(column for column in messages.c if column.name not in ("payload", "reason"))).where(
            messages.c.id.in_(wanted - {""})
        )
    )
    return _Family(
        of,
        [(row.case, LineState.model_validate_json(row.content)) for row in lines],
        papers,
        [_Message.model_validate(dict(row)) for row in letters.mappings()],
    ).ways(case)
