"""The house style: what a panel of each kind looks like, and what every dashboard has.

A panel says what it shows, in which unit, from where on it is bad, and names the section of RUNBOOK.md that tells what to do.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from grafana_foundation_sdk.builders import common, heatmap, prometheus, stat, table, timeseries
from grafana_foundation_sdk.builders.dashboard import (
    Dashboard,
    DashboardLink,
    DatasourceVariable,
    FieldColor,
    QueryVariable,
    Row,
    TextBoxVariable,
    ThresholdsConfig,
)
from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.models.common import (
    BigValueGraphMode,
    GraphThresholdsStyleMode,
    LegendDisplayMode,
    LegendPlacement,
    SortOrder,
    StackingMode,
    TooltipDisplayMode,
)
from grafana_foundation_sdk.models.dashboard import (
    DashboardCursorSync,
    DashboardLinkType,
    DataSourceRef,
    DataTransformerConfig,
    DynamicConfigValue,
    FieldColorModeId,
    Panel,
    Threshold,
    ThresholdsMode,
    VariableOption,
    VariableRefresh,
    VariableSort,
)
from grafana_foundation_sdk.models.heatmap import HeatmapColorMode
from grafana_foundation_sdk.models.prometheus import PromQueryFormat

JOB = 'job=~"$job"'
WORKER = f'{JOB}, instance=~"$instance"'
TOPIC = 'topic=~"$topic"'
"""Matchers: recorded series are of jobs and topics, those that workers serve are of a worker too."""
UP = 'up{job=~".*textstream.*"'
"""Every worker that is scraped, answering or not: the jobs' names have textstream in them, as in rules.yml."""
SOURCE = DataSourceRef(type_val="prometheus", uid="${datasource}")
RUNBOOK = "deploy/RUNBOOK.md"
GREEN, YELLOW, RED = "green", "yellow", "red"

P = TypeVar("P", stat.Panel, timeseries.Panel, table.Panel, heatmap.Panel)


@dataclass(frozen=True, slots=True)
class Query:
    """What is asked of Prometheus, and the name of each series in the legend."""

    expr: str
    legend: str = ""


@dataclass(frozen=True, slots=True)
class Frame:
    """What every panel has: title, what it means, and the alert whose section of the runbook it links to."""

    title: str
    about: str
    runbook: str = ""
    width: int = 8
    height: int = 8


@dataclass(frozen=True, slots=True)
class Limits:
    """From where on a value is of concern, and bad; None: never."""

    concern: float | None = None
    bad: float | None = None


NONE = Limits()


def number(frame: Frame, query: Query, unit: str, limits: Limits = NONE, *, nothing: str = "–") -> stat.Panel:
    """One number of now, with its course behind it."""
    reduced = common.ReduceDataOptions().calcs(["lastNotNull"])
    panel = stat.Panel().reduce_options(reduced).graph_mode(BigValueGraphMode.AREA).unit(unit).no_value(nothing)
    panel.thresholds(_thresholds(limits)).color_scheme(FieldColor().mode(FieldColorModeId.THRESHOLDS))
    return _framed(panel.with_target(_target(query, 0)), frame)


def lines(frame: Frame, queries: Sequence[Query], unit: str, limits: Limits = NONE, *, floor: float = 0) -> timeseries.Panel:
    """Courses over time, on an axis that begins at the floor or below; a limit is a dashed line."""
    legend = common.VizLegendOptions().display_mode(LegendDisplayMode.LIST).placement(LegendPlacement.BOTTOM).show_legend(True)
    tooltip = common.VizTooltipOptions().mode(TooltipDisplayMode.MULTI).sort(SortOrder.DESCENDING)
    panel = timeseries.Panel().legend(legend).tooltip(tooltip).unit(unit).axis_soft_min(floor).fill_opacity(10)
    if limits != NONE:
        style = common.GraphThresholdsStyleConfig().mode(GraphThresholdsStyleMode.DASHED)
        panel.thresholds(_thresholds(limits)).thresholds_style(style)
    for index, query in enumerate(queries):
        panel.with_target(_target(query, index))
    return _framed(panel, frame)


def shares(frame: Frame, query: Query) -> timeseries.Panel:
    """What the whole is made of: areas that fill it to 100 %."""
    stacked = common.StackingConfig().mode(StackingMode.PERCENT)
    return lines(frame, [query], "short").stacking(stacked).fill_opacity(60)


def rows(frame: Frame, columns: dict[str, Query], by: Sequence[str], units: dict[str, str], worst: str) -> table.Panel:
    """A row for each combination of the labels, a column for each query, the worst first."""
    panel = table.Panel().filterable(True)
    for index, query in enumerate(columns.values()):
        # Of these labels alone: the rows of two queries are one row where all labels that they share are equal.
        grouped = Query(f"max by ({', '.join(by)}) ({query.expr})")
        panel.with_target(_target(grouped, index).format(PromQueryFormat.TABLE).instant())
    values = {f"Value #{_letter(index)}": name for index, name in enumerate(columns)}
    panel.with_transformation(DataTransformerConfig("merge", options={}))
    order = {name: index for index, name in enumerate([*by, *values])}
    kept = {"includeByName": dict.fromkeys(order, True), "indexByName": order, "renameByName": values}
    panel.with_transformation(DataTransformerConfig("organize", options=kept))
    panel.with_transformation(DataTransformerConfig("sortBy", options={"sort": [{"field": worst, "desc": True}]}))
    for name, unit in units.items():
        panel.override_by_name(name, [DynamicConfigValue("unit", unit)])
    return _framed(panel, frame)


def density(frame: Frame, query: Query, unit: str) -> heatmap.Panel:
    """A histogram over time."""
    colour = heatmap.HeatmapColorOptions().mode(HeatmapColorMode.SCHEME).scheme("Blues").steps(32)
    panel = heatmap.Panel().calculate(False).color(colour).y_axis(heatmap.YAxisConfig().unit(unit))
    return _framed(panel.with_target(_target(query, 0).format(PromQueryFormat.HEATMAP)), frame)


def dashboard(uid: str, title: str, about: str, *sections: tuple[str, Iterable[Builder[Panel]]]) -> Dashboard:
    """Panels in rows that each ask a question; job, worker and topic may be chosen."""
    made = Dashboard(title).uid(uid).description(about).tags(["textstream"]).timezone("browser").editable()
    made.time("now-1h", "now").refresh("30s").tooltip(DashboardCursorSync.CROSSHAIR)
    made.link(DashboardLink("textstream").type(DashboardLinkType.DASHBOARDS).tags(["textstream"]).as_dropdown(False))
    made.link(DashboardLink("Runbook").type(DashboardLinkType.LINK).url("${runbook}").target_blank(True))
    made.with_variable(DatasourceVariable("datasource").label("Prometheus").type("prometheus"))
    for name, label, query in VARIABLES:
        made.with_variable(_choice(name, label, query))
    about_runbook = "Where your copy of RUNBOOK.md is served, for the links."
    made.with_variable(TextBoxVariable("runbook").label("Runbook").description(about_runbook).default_value(RUNBOOK))
    ids = iter(range(1, 1_000))
    for question, panels in sections:
        made.with_row(Row(question).id(next(ids)))
        for panel in panels:
            panel.build().id_val = next(ids)
            made.with_panel(panel)
    return made


VARIABLES = [
    ("job", "Job", f"label_values({UP}}}, job)"),
    ("instance", "Worker", f"label_values({UP}, {JOB}}}, instance)"),
    ("topic", "Input topic", f"label_values(textstream_records_polled_total{{{JOB}}}, topic)"),
]


def _choice(name: str, label: str, query: str) -> QueryVariable:
    """Several may be chosen, at first all."""
    choice = QueryVariable(name).label(label).query({"query": query, "refId": name}).datasource(SOURCE)
    choice.refresh(VariableRefresh.ON_TIME_RANGE_CHANGED).sort(VariableSort.NATURAL_ASC)
    return choice.multi(True).include_all(True).all_value(".*").current(VariableOption(text="All", value="$__all"))


def _framed(panel: P, frame: Frame) -> P:
    panel.title(frame.title).description(frame.about).datasource(SOURCE).span(frame.width).height(frame.height)
    if frame.runbook:
        url = f"${{runbook}}#{frame.runbook.lower()}"
        panel.links([DashboardLink("What to do").type(DashboardLinkType.LINK).url(url).target_blank(True)])
    return panel


def _target(query: Query, index: int) -> prometheus.Dataquery:
    target = prometheus.Dataquery().expr(query.expr).ref_id(_letter(index)).datasource(SOURCE)
    return target.legend_format(query.legend or "__auto")


def _letter(index: int) -> str:
    return "ABCDEFGHIJKLMNOPQRSTUVWXYZ"[index]


def _thresholds(limits: Limits) -> ThresholdsConfig:
    steps = [(None, GREEN), (limits.concern, YELLOW), (limits.bad, RED)]
    first, *rest = [Threshold(value, colour) for value, colour in steps]
    return ThresholdsConfig().mode(ThresholdsMode.ABSOLUTE).steps([first, *(one for one in rest if one.value is not None)])
