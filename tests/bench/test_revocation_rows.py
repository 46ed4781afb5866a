"""Whose access is taken away in a measurement, and from how many."""

from __future__ import annotations

from bench import revocations
from bench.clinicians import FAR, HERE
from bench.people_report import percentile


def test_of_those_whose_access_ends_one_by_one_there_are_so_many_that_the_99th_percentile_is_not_the_most() -> None:
    alone = [row for row in revocations.ROWS if not row.at_once]
    assert len(alone) == 2
    assert all(percentile([float(one) for one in range(row.many)], 0.99) < row.many - 1 for row in alone)


def test_a_provider_that_does_not_answer_at_once_concerns_the_people_of_its_own_facility_only() -> None:
    assert {row.house for row in revocations.SLOWLY} == {FAR} and FAR.facility != HERE.facility
    assert {row.house for row in (*revocations.ROWS, revocations.BESIDE)} == {HERE}
    assert FAR.first >= 10_000, "numbers of people, and so their names, are of one house each"
