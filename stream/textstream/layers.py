"""Where the values of the settings come from: read, merged, and checked, each mistake told in one line.

A value comes from the last of these that names it: the default, `textstream.toml`, a `TEXTSTREAM_SECTION_NAME` variable,
a `--section.name` flag. A name that no section declares is an error, wherever it stands.
"""

import difflib
import json
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from pydantic_settings import EnvSettingsSource, TomlConfigSettingsSource
from pydantic_settings.sources.utils import parse_env_vars

from textstream.errors import Misconfigured
from textstream.settings import ENV_PREFIX, Declared, Settings, declared

CONFIG_VARIABLE = "TEXTSTREAM_CONFIG"
"""Names the TOML file; the only TEXTSTREAM_ variable that is no setting."""
DEFAULT_CONFIG = Path("textstream.toml")


class Layers:
    """Where each value came from: the sources in rising order of precedence, each as {section: {name: value}}."""

    def __init__(self, toml: Path | None, environ: Mapping[str, str], flags: Mapping[str, object]) -> None:
        self.sources: list[tuple[str, dict[str, Any]]] = []
        if toml is not None:
            self.sources.append((str(toml), _read_toml(toml)))
        self.sources.append(("environment", _read_environment(environ)))
        self.sources.append(("flag", _read_flags(flags)))

    def merged(self) -> dict[str, Any]:
        """One {section: {name: value}}; the last source that names a setting wins."""
        merged: dict[str, Any] = {}
        for _, source in self.sources:
            for section, values in source.items():
                if isinstance(values, dict):
                    merged.setdefault(section, {}).update(values)
                else:
                    merged[section] = values
        return merged

    def origin(self, section: str, name: str) -> str:
        """`default`, the TOML file's name, `environment` or `flag`."""
        naming = [source for source, values in self.sources if name in values.get(section, {})]
        return naming[-1] if naming else "default"


def load_settings(
    *, toml: Path | None = None, environ: Mapping[str, str], flags: Mapping[str, object] | None = None
) -> Settings:
    """Merge the sources and validate them. Raises `Misconfigured`, one line that names the setting and the mend."""
    return validate(Layers(toml, environ, flags or {}))


def validate(layers: Layers) -> Settings:
    """The settings of these layers. Raises `Misconfigured`."""
    merged = layers.merged()
    _refuse_unknown(merged)
    try:
        return Settings.model_validate(merged)
    except ValidationError as error:
        raise Misconfigured(_one_line(error)) from None


def config_path(environ: Mapping[str, str], flag: str | None) -> Path | None:
    """The TOML file to read: the flag's, the variable's, or `textstream.toml` where it lies in this folder."""
    named = flag or environ.get(CONFIG_VARIABLE)
    if named:
        return Path(named)
    return DEFAULT_CONFIG if DEFAULT_CONFIG.is_file() else None


def _read_toml(path: Path) -> dict[str, Any]:
    if not path.is_file():
        raise Misconfigured(f"there is no settings file {path}: write one with `textstream init`, or name another")
    try:
        return dict(TomlConfigSettingsSource(Settings, toml_file=path).toml_data)
    except (ValueError, OSError) as error:  # tomllib's errors are ValueErrors
        raise Misconfigured(f"{path} cannot be read as TOML: {error}") from None


# What Kubernetes sets in every container beside a Service named `textstream`.
_KUBERNETES_SERVICE = re.compile("TEXTSTREAM_(SERVICE_HOST|SERVICE_PORT|PORT)(_|$)")


class _Environment(EnvSettingsSource):
    """pydantic-settings reads os.environ; here the variables come in as an argument."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ
        super().__init__(Settings)

    def _load_env_vars(self) -> Mapping[str, str | None]:
        return parse_env_vars(self._environ, self.case_sensitive)


def _read_environment(environ: Mapping[str, str]) -> dict[str, Any]:
    known: dict[str, Declared | None] = {setting.variable: setting for setting in declared()}
    known[CONFIG_VARIABLE] = None
    for variable in environ:
        if _KUBERNETES_SERVICE.match(variable):
            continue
        if variable.upper().startswith(ENV_PREFIX) and variable.upper() not in known:
            raise Misconfigured(f"unknown variable {variable}{_did_you_mean(variable.upper(), known)}")
        setting = known.get(variable.upper())
        if setting is not None and isinstance(setting.field.default, dict):
            _check_json(variable, environ[variable])
    return dict(_Environment(environ)())


def _check_json(variable: str, value: str) -> None:
    try:
        json.loads(value)
    except ValueError:
        example = f"""{ENV_PREFIX}KAFKA_CLIENT='{{"security.protocol": "SSL"}}'"""
        raise Misconfigured(f"{variable} is not JSON: librdkafka properties are given like {example}") from None


def _read_flags(flags: Mapping[str, object]) -> dict[str, Any]:
    nested: dict[str, Any] = {}
    for path, value in flags.items():
        section, _, name = path.partition(".")
        nested.setdefault(section, {})[name] = value
    return nested


def _refuse_unknown(merged: Mapping[str, Any]) -> None:
    """Before validation, so that the message can offer the name that was meant."""
    known = {setting.path for setting in declared()}
    sections = set(Settings.model_fields)
    for section, values in merged.items():
        if section not in sections:
            raise Misconfigured(f"unknown section [{section}]{_did_you_mean(section, sections)}")
        for name in values if isinstance(values, dict) else ():
            if f"{section}.{name}" not in known:
                raise Misconfigured(f"unknown setting {section}.{name}{_did_you_mean(f'{section}.{name}', known)}")


def _did_you_mean(name: str, known: Iterable[str]) -> str:
    close = difflib.get_close_matches(name, sorted(known), n=1)
    return f": did you mean {close[0]}?" if close else ": remove it; `textstream config show` lists what there is"


def _one_line(error: ValidationError) -> str:
    first = error.errors(include_url=False)[0]
    path = ".".join(str(part) for part in first["loc"])
    # What is given for librdkafka may hold a password: it is never printed.
    value = "" if path.startswith(("kafka.client", "kafka.consumer", "kafka.producer")) else f" = {first['input']!r}"
    return f"{path}{value}: {first['msg'].removeprefix('Value error, ')}"
