"""Where a document came from and what came of it, from the byte that arrived to the paper in the ERP."""

from __future__ import annotations

from canonical.cases import CaseChange, DocumentRef

# What we write ourselves: the message follows from the document. For all others the document follows from the message.
SENT_KINDS = frozenset({"order", "order_change", "remittance"})


def case_ref(case: str) -> str:
    """A case as lineage names it."""
    return f"case:{case}"


def document_ref(case: str, name: str) -> str:
    """A document of a case as lineage names it."""
    return f"document:{case}#{name}"


def line_ref(case: str, line: str) -> str:
    """A line of a case as lineage names it."""
    return f"line:{case}#{line}"


def message_ref(message: str) -> str:
    """A message of the journal as lineage names it."""
    return f"message:{message}"


def line_links(change: CaseChange) -> set[tuple[str, str]]:
    """What a case and its lines came from, as (what was there before, what came of it)."""
    if not change.parent:
        return set()
    lines = {
        (line_ref(change.parent, line.requisition_line), line_ref(change.case, line.line))
        for line in change.lines
        if line.requisition_line
    }
    return lines | {(case_ref(change.parent), case_ref(change.case))}


def document_links(case: str, document: DocumentRef) -> set[tuple[str, str]]:
    """What a document came from, and the message it came by or became."""
    own = document_ref(case, document.name)
    links = {(document_ref(case, document.parent) if document.parent else case_ref(case), own)}
    links.update((line_ref(case, line), own) for line in document.lines)
    if document.message:
        message = message_ref(document.message)
        links.add((own, message) if document.kind in SENT_KINDS else (message, own))
    return {(parent, child) for parent, child in links if parent != child}
