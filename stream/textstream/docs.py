"""The generated pages: SETTINGS.md, METRICS.md, the event's JSON Schema, what the Helm chart knows of the settings, and the
TOML that `textstream init` writes.

`python -m textstream.docs` writes them, `--check` says which are stale. They come from the declarations alone.
"""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args

import orjson
from prometheus_client import Metric

from textstream.event import json_schema
from textstream.layers import CONFIG_VARIABLE
from textstream.observe.metrics import Metrics, declarations
from textstream.settings import Declared, Settings, declared

REPOSITORY = Path(__file__).parents[2]


def commented_toml() -> str:
    """A textstream.toml with every setting at its default, commented out."""
    lines = ["# textstream's settings, each at its default: uncomment what you change.", ""]
    section = ""
    for setting in declared():
        if setting.section != section:
            section = setting.section
            lines += [f"# {_section_title(section)}", f"[{section}]"]
        default = "…" if setting.field.default is None else _toml(setting)
        lines += [f"# {setting.field.description}", f"# {setting.name} = {default}", ""]
    return "\n".join(lines)


def settings_page() -> str:
    """SETTINGS.md."""
    lines = [
        "# Settings",
        "",
        "Generated from `stream/textstream/settings.py` by `make docs`. A value comes from the last of: default,",
        f"`textstream.toml` (`--config FILE` or `{CONFIG_VARIABLE}` names another), variable, flag.",
        "Lists are separated by commas in variables and flags; dictionaries are JSON there.",
        "librdkafka properties that textstream's promises rest on (commits, isolation, acks, idempotence) are refused.",
    ]
    section = ""
    for setting in declared():
        if setting.section != section:
            section = setting.section
            lines += ["", f"## [{section}]", "", _section_title(section), ""]
            lines += ["| setting and flag | variable | default | meaning |", "|---|---|---|---|"]
        default = "unset" if setting.field.default is None else f"`{_toml(setting)}`"
        lines += [f"| `--{setting.path}` | `{setting.variable}` | {default} | {_meaning(setting)} |"]
    return "\n".join(lines) + "\n"


def metrics_page() -> str:
    """METRICS.md."""
    lines = [
        "# Metrics",
        "",
        "Generated from `stream/textstream/observe/metrics.py` by `make docs`. Served at `/metrics`.",
        "The last column names the test that moves the metric.",
        "",
        "| metric | type | labels | meaning | shown by |",
        "|---|---|---|---|---|",
    ]
    for metric, labels, test in declared_metrics():
        listed = ", ".join(labels) or "–"
        lines += [f"| `{series(metric)}` | {metric.type} | {listed} | {metric.documentation} | `{test}` |"]
    return "\n".join(lines) + "\n"


def series(metric: Metric) -> str:
    """The name of a metric as it is served."""
    return f"{metric.name}_total" if metric.type == "counter" else metric.name


def declared_metrics() -> list[tuple[Metric, tuple[str, ...], str]]:
    """Every declared metric with its labels and the test that moves it."""
    found, metrics = [], Metrics()
    for attribute, declared_there in declarations().items():
        collector = getattr(metrics, attribute)
        found += [(metric, tuple(collector._labelnames), declared_there.shown_by) for metric in collector.describe()]
    return found


def schema_page() -> str:
    """enriched_event.schema.json."""
    return json.dumps(json_schema(), indent=2, ensure_ascii=False) + "\n"


def chart_schema() -> str:
    """The chart's values.schema.json: what is written there by hand, with the settings of today."""
    schema = json.loads(_read(REPOSITORY / CHART_SCHEMA))
    schema["properties"]["settings"] = settings_schema()
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"


def settings_schema() -> dict[str, Any]:
    """The settings by section, as JSON Schema: names, types and limits. A chart needs topics and brokers; null is unset."""
    sections = {name: type(field.default).model_json_schema() for name, field in Settings.model_fields.items()}
    for section in sections.values():
        del section["title"]
        section["properties"] = {name: _in_chart(field) for name, field in section["properties"].items()}
    # In a variable commas separate topics. JSON Schema says nothing of what only the program can check.
    sections["input"]["properties"]["topics"] |= {"minItems": 1, "items": {"type": "string", "pattern": "^[^,]+$"}}
    sections["input"]["required"] = ["topics"]
    sections["kafka"]["required"] = ["bootstrap_servers"]
    return {"type": "object", "additionalProperties": False, "required": ["input", "kafka"], "properties": sections}


def _in_chart(field: dict[str, Any]) -> dict[str, Any]:
    """librdkafka's properties may be numbers and booleans, and none of them a password: those stand in a Secret."""
    field = {name: value for name, value in field.items() if name not in ("title", "default")}
    if "additionalProperties" in field:
        field["additionalProperties"] = {"type": ["string", "number", "boolean"]}
        field["propertyNames"] = {"not": {"pattern": "password|secret|key\\.pem"}}
    return field


def chart_defaults() -> str:
    """The chart's settings.json: the default of each setting, for what is derived from one that the values leave out."""
    defaults: dict[str, dict[str, Any]] = {}
    for setting in declared():
        defaults.setdefault(setting.section, {})[setting.name] = setting.field.default
    return json.dumps(defaults, indent=2) + "\n"


CHART_SCHEMA = "deploy/helm/textstream/values.schema.json"

PAGES: dict[str, Callable[[], str]] = {
    "deploy/SETTINGS.md": settings_page,
    "deploy/METRICS.md": metrics_page,
    "stream/textstream/enriched_event.schema.json": schema_page,
    CHART_SCHEMA: chart_schema,
    "deploy/helm/textstream/settings.json": chart_defaults,
}


def main() -> int:
    """Write the pages, or with `--check` say which are stale."""
    check = "--check" in sys.argv[1:]
    stale = [path for path, page in PAGES.items() if _read(REPOSITORY / path) != page()]
    for path in stale:
        if check:
            print(f"{path} is stale: run `make docs`", file=sys.stderr)
        else:
            (REPOSITORY / path).write_text(PAGES[path](), encoding="utf-8")
            print(f"wrote {path}")
    return 1 if check and stale else 0


def _read(path: Path) -> str:
    return path.read_text(encoding="utf-8") if path.is_file() else ""


def _section_title(section: str) -> str:
    return (type(Settings.model_fields[section].default).__doc__ or "").strip()


def _toml(setting: Declared) -> str:
    default: Any = setting.field.default
    return "{}" if default == {} else orjson.dumps(default).decode()  # JSON and TOML agree on the rest


def _meaning(setting: Declared) -> str:
    choices = get_args(setting.field.annotation)
    listed = "" if not choices or not all(isinstance(c, str) for c in choices) else f" One of {', '.join(choices)}."
    return f"{setting.field.description}{listed}"


if __name__ == "__main__":
    sys.exit(main())
