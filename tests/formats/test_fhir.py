"""FHIR's JSON both ways: no digit is lost, nothing ambiguous is taken, and what is wrong is said with its place and no value."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest

from formats import fhir
from formats.fhir import R4B, R5, Issue, Resource
from tests.formats.fhir_files import ALL, PUBLIC, RESOURCES, changed, kind, release, sample, tree

FORTY = "1234567890123456789012345678901234567890"


def issues(data: bytes, of: fhir.Release = R5) -> list[tuple[str, str]]:
    """What is wrong with a document: code and place."""
    try:
        found = fhir.check(fhir.read(data, of))
    except fhir.Unreadable as no:
        found = list(no.issues)
    return [(issue.code, issue.expression) for issue in found]


@pytest.mark.parametrize("name", ALL)
def test_what_is_read_and_written_again_is_the_same_json(name: str) -> None:
    read = fhir.parse(sample(name))
    assert fhir.same(read, fhir.parse(fhir.write(read)))
    plain: Any = json.loads(sample(name), parse_float=str)
    assert json.loads(fhir.write(read), parse_float=str) == plain


@pytest.mark.parametrize("number", ["1.10", "2.000", "1E+3", "1e-7", "-0", "-0.0", "0.10", f"{FORTY}.{FORTY}0", FORTY])
def test_a_number_keeps_the_letters_it_was_written_in(number: str) -> None:
    data = f'{{"resourceType":"SupplyRequest","quantity":{{"value":{number}}}}}'.encode()
    read = fhir.parse(data)
    assert fhir.write(read) == data
    assert Decimal(read["quantity"]["value"]) == Decimal(number)


def test_numbers_of_other_letters_are_not_the_same_content() -> None:
    one, other = (fhir.parse(f'{{"value":{number}}}'.encode()) for number in ("1.1", "1.10"))
    assert not fhir.same(one, other) and fhir.same(one, dict(one))
    assert not fhir.same({"a": 1}, {"a": True})


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{",
        b"[]",
        b'"text"',
        b"\xff\xfe",
        b'\xef\xbb\xbf{"resourceType":"SupplyRequest"}',
        b'{"resourceType":"SupplyRequest","resourceType":"SupplyRequest"}',
        b'{"resourceType":"SupplyRequest","quantity":{"value":1,"value":2}}',
        b"{" + b",".join(b'"n%d":1' % n for n in range(50_000)) + b',"n7":1}',
        b'{"value":NaN}',
        b'{"value":-Infinity}',
        b'{"value":1e999999999}',
        b'{"value":' + b"9" * 5000 + b"}",
        b'{"value":null}',
        b'{"value":[]}',
        b'{"value":{}}',
        b'{"value":""}',
        b'{"value":"\\u0000"}',
        b'{"value":"\\ud800"}',
        b'{"status__ext":{"id":"a"}}',
        b'{"a":' * 60 + b"1" + b"}" * 60,
        b'{"a":' * 100_000,
        b'{"a":1} {"b":2}',
    ],
)
def test_what_is_no_json_of_fhir_is_refused(data: bytes) -> None:
    with pytest.raises(fhir.Unreadable):
        fhir.parse(data)


def test_a_list_of_values_may_have_gaps_where_only_extensions_stand() -> None:
    assert fhir.parse(b'{"given":["A",null],"_given":[null,{"id":"x"}]}')["given"] == ["A", None]


@pytest.mark.parametrize("name", RESOURCES)
def test_our_samples_hold_in_their_release_and_not_in_the_other(name: str) -> None:
    assert issues(sample(name), release(name)) == []
    assert issues(sample(name), R4B if release(name) is R5 else R5)


@pytest.mark.skipif(not PUBLIC.is_dir(), reason="FASCIA_SAMPLES names no folder with fhir samples")
def test_the_official_examples_hold() -> None:
    files = sorted(PUBLIC.glob("*.json"))
    assert files
    for file in files:
        of = R4B if file.name.startswith("r4b") else R5
        resource = fhir.read(file.read_bytes(), of)
        assert fhir.check(resource) == [], file.name
        assert resource.type == kind(file.stem)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"quantity": None}, ("required", "SupplyRequest.quantity")),
        ({"item": None}, ("required", "SupplyRequest.item")),
        ({"foo": 1}, ("structure", "SupplyRequest.foo")),
        ({"quantity": {"value": "5"}}, ("value", "SupplyRequest.quantity.value")),
        ({"quantity": {"value": True}}, ("value", "SupplyRequest.quantity.value")),
        ({"status": 5}, ("value", "SupplyRequest.status")),
        ({"status": "bogus"}, ("code-invalid", "SupplyRequest.status")),
        ({"priority": "now"}, ("code-invalid", "SupplyRequest.priority")),
        ({"id": "a/b"}, ("value", "SupplyRequest.id")),
        ({"id": "x" * 65}, ("value", "SupplyRequest.id")),
        ({"authoredOn": "yesterday"}, ("value", "SupplyRequest.authoredOn")),
        ({"identifier": {"value": "x"}}, ("value", "SupplyRequest.identifier")),
        ({"occurrenceDateTime": "2026-12-01"}, ("structure", "SupplyRequest")),
        ({"contained": [{"resourceType": "Nothing"}]}, ("structure", "SupplyRequest.contained")),
        (
            {"item": {"concept": {"coding": [{"code": "a", "userSelected": "yes"}]}}},
            ("value", "SupplyRequest.item.concept.coding[0].userSelected"),
        ),
        (
            {"modifierExtension": [{"url": "http://a.example", "valueCode": "not"}]},
            ("extension", "SupplyRequest.modifierExtension"),
        ),
        ({"implicitRules": "http://a.example"}, ("extension", "SupplyRequest.implicitRules")),
    ],
)
def test_what_is_wrong_is_said_with_its_place(changes: dict[str, Any], expected: tuple[str, str]) -> None:
    assert expected in issues(changed("r5_SupplyRequest", **changes))


def test_a_long_whole_number_is_text_as_json_of_r5_has_it() -> None:
    def sized(size: Any) -> bytes:
        held = {"resourceType": "DocumentReference", "status": "current", "content": [{"attachment": {"size": size}}]}
        return changed("r5_SupplyRequest", contained=[held])

    assert issues(sized("9007199254740993")) == []
    assert issues(sized(5)) == [("value", "SupplyRequest.contained[0].content[0].attachment.size")]


def test_no_value_that_was_sent_is_in_what_is_said() -> None:
    for name, value in tree("r5_SupplyRequest").items():
        for secret in (
            "Anna Muster",
            ["Anna Muster"],
            {"Anna Muster": "Anna Muster"},
            {"reference": 7, "x": "Anna Muster"},
        ):
            if name == "resourceType":
                continue
            try:
                found = fhir.check(fhir.read(changed("r5_SupplyRequest", **{name: secret}), R5))
            except fhir.Unreadable as no:
                found = list(no.issues)
            assert "Anna" not in str(fhir.outcome(found)), (name, value)


def test_the_official_identifier_names_a_resource_else_the_first_with_a_value() -> None:
    named = fhir.read(sample("r5_SupplyRequest"), R5).identifier
    assert named is not None and named.value == "W-2026-0117"
    first = Resource(
        R5, {"resourceType": "X", "identifier": [{"system": "a"}, {"value": "1"}, {"value": "2"}]}
    ).identifier
    assert first is not None and (first.system, first.value) == ("", "1")
    assert Resource(R5, {"resourceType": "X"}).identifier is None


def bundle(**changes: Any) -> Resource:
    return Resource(R5, tree("r5_Bundle", **changes))


def test_a_bundle_is_cut_and_its_urns_become_addresses() -> None:
    found = fhir.entries(bundle())
    assert [one.resource.type for one in found if one.resource] == ["SupplyRequest", "SupplyDelivery", "DeviceUsage"]
    assert not any(one.issues for one in found)
    delivery = found[1].resource
    assert delivery is not None
    done = fhir.resolved(delivery, {found[0].full_url: "SupplyRequest/abc"})
    assert done.value("basedOn", 0, "reference") == "SupplyRequest/abc"
    assert delivery.value("basedOn", 0, "reference") == found[0].full_url
    with pytest.raises(fhir.Unreadable) as no:
        fhir.resolved(delivery, {})
    assert no.value.issues[0].expression == "SupplyDelivery.basedOn[0].reference"


@pytest.mark.parametrize(
    ("entry", "expected"),
    [
        ({"request": {"method": "PUT", "url": "SupplyRequest/1"}}, "Bundle.entry[0].request.method"),
        ({"request": {"method": "POST", "url": "SupplyRequest"}}, "Bundle.entry[0].resource"),
        ({"resource": {"status": "active"}, "request": {"method": "POST", "url": "X"}}, "Bundle.entry[0].resource"),
        (
            {"resource": {"resourceType": "SupplyRequest"}, "request": {"method": "POST", "url": "DeviceUsage"}},
            "Bundle.entry[0].request.url",
        ),
        ({"fullUrl": "http://a.example"}, "Bundle.entry[0].request.method"),
    ],
)
def test_an_entry_that_asks_for_something_else_says_so(entry: dict[str, Any], expected: str) -> None:
    (found,) = fhir.entries(bundle(entry=[entry]))
    assert expected in [issue.expression.removesuffix(".resourceType") for issue in found.issues]


@pytest.mark.parametrize(
    "changes",
    [
        {"type": "searchset"},
        {"type": None},
        {"entry": {"a": 1}},
        {"entry": ["text"]},
        {"entry": [0]},
        {"entry": [None, {"fullUrl": "urn:uuid:1"}]},
        {"entry": [{"request": {"method": "POST"}}]},
        {"entry": [{"fullUrl": "urn:uuid:1"}, {"fullUrl": "urn:uuid:1"}]},
        {"foo": 1},
    ],
)
def test_a_bundle_that_is_none_is_refused_whole(changes: dict[str, Any]) -> None:
    with pytest.raises(fhir.Unreadable):
        fhir.entries(bundle(**changes))


def test_an_outcome_holds_what_is_wrong_and_where() -> None:
    said = fhir.outcome([Issue("value", "no", "SupplyRequest.status").within("Bundle.entry[3].resource")])
    assert said["issue"] == [
        {"severity": "error", "code": "value", "diagnostics": "no", "expression": ["Bundle.entry[3].resource.status"]}
    ]
