"""The generated pages: SETTINGS.md, METRICS.md, the event's JSON Schema and the TOML that `textstream init` writes.

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
from textstream.observe.metrics import Metrics
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
        "",
        "| metric | type | labels | meaning |",
        "|---|---|---|---|",
    ]
    for metric, labels in declared_metrics():
        name = f"{metric.name}_total" if metric.type == "counter" else metric.name
        lines += [f"| `{name}` | {metric.type} | {', '.join(labels) or '–'} | {metric.documentation} |"]
    return "\n".join(lines) + "\n"


def declared_metrics() -> list[tuple[Metric, tuple[str, ...]]]:
    """Every declared metric with its labels."""
    found = []
    for collector in vars(Metrics()).values():
        if hasattr(collector, "describe"):
            found += [(metric, tuple(collector._labelnames)) for metric in collector.describe()]
    return found


def schema_page() -> str:
    """enriched_event.schema.json."""
    return json.dumps(json_schema(), indent=2, ensure_ascii=False) + "\n"


PAGES: dict[str, Callable[[], str]] = {
    "deploy/SETTINGS.md": settings_page,
    "deploy/METRICS.md": metrics_page,
    "stream/textstream/enriched_event.schema.json": schema_page,
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
