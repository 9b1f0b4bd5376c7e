"""The generated pages, and what the others say of tests."""

import json
import re

import jsonschema
import pytest

from textstream.docs import PAGES, REPOSITORY, declared_metrics, series
from textstream.event import json_schema
from textstream.settings import declared


@pytest.mark.parametrize("path", PAGES)
def test_each_page_is_up_to_date(path: str) -> None:
    """A page that is committed is what its declarations generate now."""
    assert (REPOSITORY / path).read_text(encoding="utf-8") == PAGES[path](), f"{path} is stale: run `make docs`"


def test_the_pages_name_everything() -> None:
    """Every setting and every metric stands in its page."""
    settings = (REPOSITORY / "deploy/SETTINGS.md").read_text()
    for setting in declared():
        assert f"`--{setting.path}`" in settings
        assert setting.field.description
    metrics = (REPOSITORY / "deploy/METRICS.md").read_text()
    assert len(declared_metrics()) > 15
    for metric, _, _ in declared_metrics():
        assert metric.documentation in metrics


def test_the_schema_is_a_schema() -> None:
    """The published schema is valid JSON Schema 2020-12 and refuses an event without its parts."""
    schema = json.loads((REPOSITORY / "stream/textstream/enriched_event.schema.json").read_text())
    jsonschema.Draft202012Validator.check_schema(schema)
    assert schema == json_schema()
    with pytest.raises(jsonschema.ValidationError, match="required"):
        jsonschema.validate({"id": "a"}, schema)


def _source_of_tests() -> dict[str, str]:
    """The source of every test, from its name to the next one."""
    code = "".join(file.read_text(encoding="utf-8") for file in (REPOSITORY / "tests").rglob("test_*.py"))
    return dict(re.findall(r"^def (test_\w+)(.*?)(?=^def |^class |\Z)", code, re.MULTILINE | re.DOTALL))


def test_each_metric_is_moved_by_a_test() -> None:
    """The test that METRICS.md names for a metric exists, and asks for that metric by its name."""
    tests = _source_of_tests()
    for metric, _, test in declared_metrics():
        assert series(metric) in tests.get(test, ""), f"{test} does not ask for {series(metric)}"


def test_each_kind_of_trouble_has_its_test() -> None:
    """Every row of the table in DELIVERY.md names tests, and they exist."""
    page = (REPOSITORY / "deploy/DELIVERY.md").read_text(encoding="utf-8")
    table = page.split("| shown by |")[1].split("\n\n")[0].splitlines()[2:]
    assert len(table) > 15
    there = set(_source_of_tests())
    for row in table:
        named = re.findall(r"`(test_\w+)`", row.split("|")[3])
        assert named and there.issuperset(named), row
