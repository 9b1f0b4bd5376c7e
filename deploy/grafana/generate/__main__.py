"""Write the dashboards, or with `--check` say which are stale."""

import json
import sys
from pathlib import Path

from grafana_foundation_sdk.builders.dashboard import Dashboard
from grafana_foundation_sdk.cog.encoder import JSONEncoder

from deploy.grafana.generate import overview, pipeline, text

FOLDER = Path(__file__).parents[1] / "dashboards"
DASHBOARDS = {"overview.json": overview.DASHBOARD, "pipeline.json": pipeline.DASHBOARD, "text.json": text.DASHBOARD}


def page(dashboard: Dashboard) -> str:
    """The dashboard as Grafana reads it."""
    return json.dumps(dashboard.build(), cls=JSONEncoder, indent=1, ensure_ascii=False) + "\n"


def main() -> int:
    """The exit status: 1 where a dashboard is stale."""
    check = "--check" in sys.argv[1:]
    stale = [name for name, made in DASHBOARDS.items() if _read(FOLDER / name) != page(made)]
    for name in stale:
        if check:
            print(f"deploy/grafana/dashboards/{name} is stale: run `make docs`", file=sys.stderr)
        else:
            (FOLDER / name).write_text(page(DASHBOARDS[name]), encoding="utf-8")
            print(f"wrote deploy/grafana/dashboards/{name}")
    return 1 if check and stale else 0


def _read(path: Path) -> str:
    return path.read_text(encoding="utf-8") if path.is_file() else ""


if __name__ == "__main__":
    sys.exit(main())
