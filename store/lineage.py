"""Where a document came from and what came of it, from the byte that arrived to the paper in the ERP."""

from __future__ import annotations

from canonical.cases import CaseChange

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


def links_of(change: CaseChange) -> set[tuple[str, str]]:
    """Every link a case's change states, as (what was there before, what came of it)."""
    links = {(case_ref(change.parent), case_ref(change.case))} if change.parent else set()
    for line in change.lines:
        if change.parent and line.requisition_line:
            links.add((line_ref(change.parent, line.requisition_line), line_ref(change.case, line.line)))
    for document in change.documents:
        own = document_ref(change.case, document.name)
        links.add((document_ref(change.case, document.parent) if document.parent else case_ref(change.case), own))
        links.update((line_ref(change.case, line), own) for line in document.lines)
        if document.message:
            message = message_ref(document.message)
            links.add((own, message) if document.kind in SENT_KINDS else (message, own))
    return {(parent, child) for parent, child in links if parent != child}
