"""Every setting, declared once: parsing, defaults, validation, `--help`, `textstream init` and SETTINGS.md come from here.

Where their values come from stands in `layers`.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, NoDecode, PydanticBaseSettingsSource, SettingsConfigDict

ENV_PREFIX = "TEXTSTREAM_"

OURS_CONSUMER = {
    "auto.offset.reset": "input.start",
    "bootstrap.servers": "kafka.bootstrap_servers",
    "enable.auto.commit": None,
    "enable.auto.offset.store": None,
    "enable.partition.eof": None,
    "group.id": "kafka.group_id",
    "group.instance.id": "kafka.group_instance_id",
    "group.protocol": "kafka.group_protocol",
    "group.protocol.type": None,
    "isolation.level": None,
    "metadata.broker.list": "kafka.bootstrap_servers",
    "partition.assignment.strategy": None,
}
OURS_PRODUCER = {
    "acks": None,
    "bootstrap.servers": "kafka.bootstrap_servers",
    "delivery.report.only.error": None,
    "delivery.timeout.ms": None,
    "enable.gapless.guarantee": None,
    "enable.idempotence": None,
    "batch.size": None,
    "max.in.flight": None,
    "max.in.flight.requests.per.connection": None,
    "metadata.broker.list": "kafka.bootstrap_servers",
    "message.max.bytes": None,
    "message.send.max.retries": None,
    "message.timeout.ms": None,
    "partitioner": None,
    "request.required.acks": None,
    "retries": None,
    "transaction.timeout.ms": "delivery.transaction_timeout_s",
    "transactional.id": None,
}
"""librdkafka properties that textstream's promises rest on, and the setting to use instead, where there is one."""

FILE, VARIABLE = "_file", "_variable"
"""`sasl.password_file` names a file that holds sasl.password, `sasl.password_variable` a variable; so does any property."""
SECRET_WORDS = ("password", "passphrase", "secret", "jaas", "credential", "token", "oauthbearer.config", "key.pem")
"""A librdkafka property with one of these in its name is shown as ***."""


def property_name(name: str) -> str:
    """The librdkafka property that is given under this name."""
    return name.removesuffix(FILE).removesuffix(VARIABLE)


def is_secret(name: str) -> bool:
    """Whether what stands under this name is never to be shown; where a secret comes from may be."""
    return property_name(name) == name and any(word in name.lower() for word in SECRET_WORDS)


def _topic_or_pattern(value: str) -> str:
    """A topic's name, or a regular expression that begins with ^."""
    if not value.startswith("^"):
        if not re.fullmatch(r"[a-zA-Z0-9._-]{1,249}", value):
            raise ValueError("a topic's name has letters, digits, '.', '_' and '-'; a pattern begins with '^'")
        return value
    try:
        re.compile(value)
    except re.error as error:
        raise ValueError(f"no regular expression: {error}") from None
    return value


Topic = Annotated[str, AfterValidator(_topic_or_pattern)]
TopicTemplate = Annotated[str, Field(pattern=r"^([a-zA-Z0-9._-]|\{topic\}){1,249}$")]


def _split_commas(value: object) -> object:
    return [part.strip() for part in value.split(",") if part.strip()] if isinstance(value, str) else value


def _json_pointer(value: str) -> str:
    if value and not value.startswith("/"):
        raise ValueError('a JSON pointer (RFC 6901) is empty or starts with "/"')
    return value


def _callable_name(value: str) -> str:
    if value and not re.fullmatch(r"[\w.]+:[\w.]+", value):
        raise ValueError("name a Python function as module:function")
    return value


def _free_of(ours: Mapping[str, str | None]) -> AfterValidator:
    def check(properties: dict[str, str]) -> dict[str, str]:
        names = [property_name(name) for name in properties]
        for name in names:
            if names.count(name) > 1:
                raise ValueError(f"{name} is given twice: leave one of it, {name}{FILE} and {name}{VARIABLE}")
            if name == "logger" or name.endswith("_cb") or name.startswith("on_"):
                raise ValueError(f"{name} is a Python callback of the client, not a librdkafka property: remove it")
            if name in ours:
                instead = f"use {ours[name]}" if ours[name] else "textstream's delivery promise rests on it: remove it"
                raise ValueError(f"{name} is not yours to set; {instead}")
        return properties

    return AfterValidator(check)


def _as_properties(value: object) -> object:
    """librdkafka takes text under dotted names; TOML users write numbers, booleans, and unquoted names, which nest."""
    return dict(_flattened(value, "")) if isinstance(value, dict) else value


def _flattened(table: Mapping[str, object], prefix: str) -> Iterator[tuple[str, str]]:
    for name, value in table.items():
        if isinstance(value, dict):
            yield from _flattened(value, f"{prefix}{name}.")
        else:
            yield prefix + name, str(value).lower() if isinstance(value, bool) else str(value)


Properties = Annotated[dict[str, str], BeforeValidator(_as_properties)]


class Section(BaseModel):
    """A `[section]` of textstream.toml."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Input(Section):
    """What is read."""

    topics: Annotated[list[Topic], NoDecode, BeforeValidator(_split_commas)] = Field(
        default=[],
        description="Topics to read, separated by commas in variables and flags. `^…`: all that match, but our own outputs.",
    )
    refresh_s: float = Field(
        default=30, ge=1, le=3_600, description="How often topics that came, went or were made anew are looked for."
    )
    format: Literal["json", "text"] = Field(
        default="json", description="`json`: the text stands at `input.pointer`; `text`: the whole value is UTF-8 text."
    )
    pointer: Annotated[str, AfterValidator(_json_pointer)] = Field(
        default="/text", description="JSON pointer (RFC 6901) to the text."
    )
    start: Literal["earliest", "latest"] = Field(
        default="earliest",
        description="Where a partition without a committed offset is read from. One that comes later: always its start.",
    )
    on_skip: Literal["stop", "continue"] = Field(
        default="stop",
        description="When records are gone before they were read (retention, a topic cut or made anew): stop, or go on.",
    )
    replay_topic: TopicTemplate = Field(
        default="{topic}.replay",
        description="Topic that `textstream dlq replay` writes to, read beside the input where it exists; `{topic}` likewise.",
    )


class Output(Section):
    """What is published."""

    topic: TopicTemplate = Field(default="{topic}.enriched", description="Topic of the events; `{topic}` is the input's name.")
    dead_topic: TopicTemplate = Field(default="{topic}.dead", description="Topic of the dead letters; likewise.")
    keep_input: bool = Field(
        default=False, description="Nest the original JSON value under `input`, byte for byte (`input.format = json`)."
    )


class Model(Section):
    """Which model scores, and how."""

    bundle: str = Field(default="swift", description="`swift`, which ships with textstream, or the path of a bundle.")
    device: Literal["auto", "cpu", "cuda"] = Field(
        default="auto", description="`cuda` refuses to start without CUDA; `auto` takes it when it is there."
    )
    threads: int = Field(
        default=1, ge=0, le=256,
        description="Threads of one model pass; 0: one for each CPU of the container's quota. Scale by workers first.",
    )  # fmt: skip
    max_terms: int = Field(default=10, ge=0, le=100, description="Most key terms of one event.")
    min_salience: float | None = Field(
        default=None, ge=0, le=1, description="Least salience of a key term; unset: the bundle's own threshold."
    )
    cascade: str | None = Field(
        default=None, description="Path of a better, slower bundle that scores again what `model.bundle` is unsure of."
    )
    cascade_margin: float = Field(
        default=0.32, ge=0, le=1,
        description="Unsure: its two most likely labels are less than this apart in probability (`textstream-export cascade`).",
    )  # fmt: skip
    remember_texts: int = Field(
        default=0, ge=0, le=1_000_000,
        description="Of so many texts that came twice a worker remembers what was said, and scores them no more: retweets, "
        "templates. About 1.4 KB of memory each, up to 5 KB of a long one; 0: every text is scored, as `bench` and `check` do.",
    )  # fmt: skip

    def loading(self) -> dict[str, Any]:
        """What loading a bundle takes of these: the rest is what a worker does with it."""
        return self.model_dump(exclude={"remember_texts"})


class Batch(Section):
    """When a micro-batch is closed: whichever limit is reached first."""

    max_messages: int = Field(default=512, ge=1, le=100_000, description="Most messages of one batch.")
    max_tokens: int = Field(default=16_384, ge=1, description="Most tokens of one batch; a longer message goes alone.")
    max_wait_ms: int = Field(
        default=5, ge=0, le=60_000, description="Longest a message waits for its batch to fill; less where the model is idle."
    )


class Delivery(Section):
    """The guarantee, in-flight limits, commits, deadlines, and when to stop."""

    guarantee: Literal["at_least_once", "exactly_once"] = Field(
        default="at_least_once",
        description="`exactly_once`: outcomes and offsets in one transaction a commit interval, for `read_committed` readers.",
    )
    transaction_timeout_s: float = Field(
        default=30, ge=1, le=900,
        description="The broker ends a transaction that a dead worker left open after this long; readers wait meanwhile.",
    )  # fmt: skip

    max_in_flight_messages: int = Field(
        default=10_000, ge=1, le=1_000_000, description="Most messages between poll and acknowledgement."
    )
    max_in_flight_bytes: int = Field(
        default=128 * 2**20, ge=1, description="Most bytes of message values between poll and acknowledgement."
    )
    max_in_flight_tokens: int = Field(default=1_000_000, ge=1, description="Most tokens between poll and acknowledgement.")
    pause_after_ms: int = Field(
        default=500, ge=0, le=60_000,
        description="Partitions pause when a limit stays reached this long; sooner, polling just waits.",
    )  # fmt: skip
    commit_interval_ms: int = Field(default=1_000, ge=10, le=600_000, description="Longest between two commits.")
    drain_timeout_s: float = Field(
        default=25, gt=0, le=3_600, description="Longest a stop or a revoked partition waits for work in flight."
    )
    startup_timeout_s: float = Field(
        default=60, gt=0, le=3_600, description="Longest to wait for the broker at start; then exit status 75."
    )
    breaker_share: float = Field(
        default=0.5, gt=0, le=1,
        description="Stop where more than this share of the last `breaker_window` outcomes are dead letters; 1: never.",
    )  # fmt: skip
    breaker_window: int = Field(default=1_000, ge=1, le=1_000_000, description="Outcomes that `breaker_share` is a share of.")
    breaker_run: int = Field(default=200, ge=0, le=1_000_000, description="Stop at so many dead letters in a row; 0: never.")
    on_breaker: Literal["pause", "exit"] = Field(
        default="pause",
        description="How to stop: `pause` reads nothing more and fails /readyz until a restart, `exit` ends with status 78.",
    )


class Kafka(Section):
    """How the brokers are reached."""

    bootstrap_servers: str = Field(default="localhost:9092", min_length=1, description="host:port, separated by commas.")
    group_id: str = Field(
        default="textstream", min_length=1, description="Consumer group; workers that share it share the work."
    )
    group_protocol: Literal["classic", "consumer"] = Field(
        default="classic", description="`classic`: cooperative-sticky; `consumer`: the brokers assign (KIP-848, Kafka 4.0)."
    )
    group_instance_id: str = Field(
        default="",
        description="Static membership: an id of this worker alone. It keeps its partitions until its session times out.",
    )
    client: Annotated[Properties, _free_of(OURS_CONSUMER | OURS_PRODUCER)] = Field(
        default={},
        description="librdkafka properties of every client (security.protocol, sasl.*, ssl.*); `NAME_file`: from a file.",
    )
    consumer: Annotated[Properties, _free_of(OURS_CONSUMER)] = Field(
        default={}, description="librdkafka properties of the consumer."
    )
    producer: Annotated[Properties, _free_of(OURS_PRODUCER)] = Field(
        default={}, description="librdkafka properties of the producer."
    )
    token_callback: Annotated[str, AfterValidator(_callable_name)] = Field(
        default="",
        description="`module:function` that makes OAUTHBEARER tokens, as confluent-kafka's `oauth_cb`; see SECURITY.md.",
    )


class Observe(Section):
    """Metrics, health, the page and logs."""

    http_host: str = Field(default="127.0.0.1", description="Address of the page (/), /metrics, /livez and /readyz.")
    http_port: int = Field(default=9464, ge=0, le=65_535, description="Their port; 0 takes a free one and logs it.")
    http_certificate: str = Field(
        default="",
        description="PEM file: certificate, with the chain, for HTTPS there; read again when it changes. Unset: HTTP.",
    )
    http_key: str = Field(default="", description="PEM file of its key, where that is another file.")
    http_client_ca: str = Field(
        default="", description="PEM file: only clients with a certificate of these authorities get an answer (mTLS)."
    )
    stall_after_s: float = Field(
        default=60, gt=0, le=3_600,
        description="/livez fails when a message waits this long for the model; a pass that takes longer ends the process.",
    )  # fmt: skip
    tracing: Literal["off", "otlp"] = Field(
        default="off",
        description="`otlp`: a trace of each batch goes where the standard OTEL_ variables say; needs `textstream[otel]`.",
    )
    log_format: Literal["console", "json"] = Field(default="console", description="Readable lines, or JSON for machines.")
    log_level: Literal["debug", "info", "warning", "error"] = Field(default="info", description="Least level logged.")
    log_lines_per_minute: int = Field(
        default=60, ge=0, le=1_000_000,
        description="Most lines of one event a minute, debug lines apart; what is more is counted and summed up. 0: all.",
    )  # fmt: skip


class Privacy(Section):
    """Who may see what stands in messages."""

    log_text: bool = Field(
        default=False, description="Log the value of a dead letter, cut, and what was wrong with it; false: its id and reason."
    )
    show_text: bool = Field(
        default=True,
        description="Show texts and key terms on the worker's page; false: counts alone, as in the image and in the chart.",
    )


class Settings(BaseSettings):
    """All sections. Build it with `layers.load_settings`, which explains what is wrong in one line."""

    model_config = SettingsConfigDict(
        extra="forbid", frozen=True, env_prefix=ENV_PREFIX, env_nested_delimiter="_", env_nested_max_split=1
    )

    input: Input = Input()
    output: Output = Output()
    model: Model = Model()
    batch: Batch = Batch()
    delivery: Delivery = Delivery()
    kafka: Kafka = Kafka()
    observe: Observe = Observe()
    privacy: Privacy = Privacy()

    @classmethod
    def settings_customise_sources(
        cls, settings_cls: type[BaseSettings], init_settings: PydanticBaseSettingsSource, *_: Any, **__: Any
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """`Layers` reads the sources, one by one, so that each value's origin can be shown."""
        return (init_settings,)


@dataclass(frozen=True, slots=True)
class Declared:
    """One setting as declared above."""

    section: str
    name: str
    field: FieldInfo

    @property
    def path(self) -> str:
        """The name in flags and messages: `section.name`."""
        return f"{self.section}.{self.name}"

    @property
    def variable(self) -> str:
        """The name of its environment variable."""
        return f"{ENV_PREFIX}{self.section}_{self.name}".upper()


def declared() -> Iterator[Declared]:
    """Every setting, in the order of this file."""
    for section, field in Settings.model_fields.items():
        assert isinstance(field.default, Section)
        for name, inner in type(field.default).model_fields.items():
            yield Declared(section, name, inner)
