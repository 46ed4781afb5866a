"""What Temporal repeats, what it parks, and what a case shows of an outside system that does not answer."""

from __future__ import annotations

import dataclasses
from datetime import timedelta

import pytest
from temporalio import activity
from temporalio.exceptions import ApplicationError
from temporalio.testing import ActivityEnvironment
from temporalio.worker import ActivityInboundInterceptor, ExecuteActivityInput

from canonical.cases import Trouble
from canonical.errors import FasciaError, Malformed, Rejected, Throttled, Unavailable
from workers.failures import Failures, in_temporals_words

CASE = "purchase_order/NGH/PO000001"


@pytest.mark.parametrize(
    ("failure", "type_", "repeats"),
    [
        (Unavailable("no answer"), "Unavailable", True),
        (Throttled("slower", retry_after=7), "Throttled", True),
        (Rejected("closed period"), "Rejected", False),
        (Malformed("no line", path="lines"), "Malformed", False),
    ],
)
def test_our_four_failures_keep_their_names_and_only_two_are_repeated(
    failure: FasciaError, type_: str, repeats: bool
) -> None:
    told = in_temporals_words(failure)
    assert (told.type, told.non_retryable) == (type_, not repeats)
    assert told.message == failure.message


def test_a_throttled_step_waits_as_long_as_it_was_asked_to() -> None:
    assert in_temporals_words(Throttled("slower", retry_after=7)).next_retry_delay == timedelta(seconds=7)
    assert in_temporals_words(Unavailable("no answer")).next_retry_delay is None


def test_a_failure_brings_its_code_path_and_system() -> None:
    told = in_temporals_words(Malformed("wrong", path="lines.0.item", code="unknown-code", system="erp"))
    assert list(told.details) == ["unknown-code", "lines.0.item", "erp"]


def test_a_kind_of_rejection_of_an_adapters_own_is_still_a_rejection() -> None:
    class Asks(Rejected):
        pass

    assert in_temporals_words(Asks("first")).type == "Rejected"


def test_a_mistake_of_ours_is_repeated_and_says_nothing_of_the_data() -> None:
    try:
        raise ValueError("patient Miller, born 1950")
    except ValueError as bug:
        told = in_temporals_words(bug)
    assert (told.type, told.non_retryable) == ("Bug", False)
    assert "Miller" not in told.message
    assert told.message.startswith("unexpected ValueError at tests/workers/test_failures.py:")


def test_a_long_failure_is_cut() -> None:
    assert len(in_temporals_words(Rejected("x" * 10_000)).message) == 500


class Book:
    """Where trouble is written; may be away."""

    def __init__(self) -> None:
        self.told: list[Trouble] = []
        self.away = False

    async def trouble(self, trouble: Trouble) -> None:
        if self.away:
            raise Unavailable("store away")
        self.told.append(trouble)


class Step(ActivityInboundInterceptor):
    """A step that fails with what it is given, or succeeds."""

    def __init__(self, failure: Exception | None) -> None:
        self.failure = failure

    async def execute_activity(self, input: ExecuteActivityInput) -> str:  # noqa: A002
        if self.failure:
            raise self.failure
        return "done"


async def run(failures: Failures, failure: Exception | None, *, attempt: int = 1, queue: str = "erp") -> object:
    info = dataclasses.replace(
        ActivityEnvironment.default_info(),
        workflow_id=CASE,
        task_queue=queue,
        attempt=attempt,
        activity_type="create_purchase_order",
    )
    environment = ActivityEnvironment()
    environment.info = info
    step = failures.intercept_activity(Step(failure))

    async def execute() -> object:
        return await step.execute_activity(ExecuteActivityInput(fn=execute, args=[], executor=None, headers={}))

    assert not activity.in_activity()
    return await environment.run(execute)


async def test_an_erp_that_does_not_answer_shows_on_the_case_and_goes_when_it_answers() -> None:
    book = Book()
    failures = Failures(book.trouble)
    with pytest.raises(ApplicationError, match="no answer"):
        await run(failures, Unavailable("no answer"))
    assert [(t.case, t.system, t.step, t.since is not None) for t in book.told] == [
        (CASE, "erp", "create_purchase_order", True)
    ]
    await run(failures, None, attempt=2)
    assert book.told[-1] == Trouble(case=CASE, system="", step="create_purchase_order", since=None)


async def test_the_waiting_began_when_the_step_was_first_asked() -> None:
    book = Book()
    with pytest.raises(ApplicationError):
        await run(Failures(book.trouble), Unavailable("no answer"), attempt=9)
    assert book.told[0].since == ActivityEnvironment.default_info().scheduled_time


async def test_a_step_that_always_worked_writes_nothing() -> None:
    book = Book()
    await run(Failures(book.trouble), None)
    assert book.told == []


async def test_another_worker_clears_what_the_first_one_showed() -> None:
    book = Book()
    await run(Failures(book.trouble), None, attempt=3)
    told = [(t.case, t.system, t.step, t.since) for t in book.told]
    assert told == [(CASE, "", "create_purchase_order", None)], "whichever system that one named"


async def test_a_no_of_the_erp_is_an_answer() -> None:
    book = Book()
    failures = Failures(book.trouble)
    with pytest.raises(ApplicationError):
        await run(failures, Unavailable("no answer"))
    with pytest.raises(ApplicationError) as refused:
        await run(failures, Rejected("no such product"), attempt=2)
    assert refused.value.non_retryable
    assert book.told[-1].since is None


async def test_a_mistake_of_ours_is_no_trouble_of_the_erp() -> None:
    book = Book()
    with pytest.raises(ApplicationError):
        await run(Failures(book.trouble), KeyError("x"))
    assert book.told == []


async def test_steps_on_our_own_store_never_show_as_waiting() -> None:
    book = Book()
    with pytest.raises(ApplicationError):
        await run(Failures(book.trouble), Unavailable("store away"), queue="fascia")
    assert book.told == []


async def test_a_store_that_is_away_does_not_change_the_steps_own_outcome() -> None:
    book = Book()
    book.away = True
    failures = Failures(book.trouble)
    with pytest.raises(ApplicationError, match="no answer"):
        await run(failures, Unavailable("no answer"))
    assert await run(failures, None, attempt=2) == "done"
    book.away = False
    assert await run(failures, None) == "done"
    assert [t.since for t in book.told] == [None], "cleared once the store is back"


async def test_nothing_of_the_first_exception_goes_into_the_history() -> None:
    with pytest.raises(ApplicationError) as told:
        await run(Failures(Book().trouble), ValueError("patient Miller"))
    assert told.value.__cause__ is None
    assert told.value.__suppress_context__
