"""The chart values that have the same effect as a ``spicedb.yaml``.

Only a few settings are listed here: the charts themselves say which value sets what. If a setting changes
only the default values of a chart, and not its templates, these values have the same effect as the setting.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property, reduce
from typing import Any

import attrs
from attrs import evolve, frozen

from cdk8s_spicedb import ConfigMapKey, Delivery, SecretKey, SpiceDBProps
from cdk8s_spicedb.helm.templates import templates
from cdk8s_spicedb.helm.value import PATHS, Value
from cdk8s_spicedb.helm.values import chart_values
from cdk8s_spicedb.manifests.jobs import plain
from cdk8s_spicedb.props.fields import camel, short_form
from cdk8s_spicedb.props.secrets import EnvVar, container_env
from cdk8s_spicedb.props.spicedb import image_parts
from tools.props import with_value

_KEYS = {SecretKey: SecretKey("other-secret", "key"), ConfigMapKey: ConfigMapKey("other-map", "key")}
"""Another key of each class, to compare charts."""
Path = tuple[str, ...]


@frozen
class ChartSettings:
    """What the settings of a file are in a chart."""

    values: Mapping[str, Any] = {}
    """The values that set the same, by their paths."""
    fixed: tuple[str, ...] = ()
    """What is fixed when the chart is written: settings of the file, Markdown."""
    unused: tuple[str, ...] = ()
    """Settings of the file that change nothing in the chart, Markdown."""

    def __add__(self, other: ChartSettings) -> ChartSettings:
        return ChartSettings({**self.values, **other.values}, self.fixed + other.fixed, self.unused + other.unused)

    def nested(self) -> dict[str, Any]:
        """The values as in values.yaml."""
        found: dict[str, Any] = {}
        for path, value in self.values.items():
            *parts, name = path.split(".")
            reduce(lambda inner, part: inner.setdefault(part, {}), parts, found)[name] = value
        return found


def chart_settings(data: Mapping[str, Any], props: SpiceDBProps) -> ChartSettings:
    """What the settings of a file are in a chart. ``props`` are those of the file."""
    # Charts are written for Helm. Argo CD and Flux install them as they are.
    return _inside(_Chart(evolve(props, delivery=Delivery.HELM)), (), data)


class _Chart:
    """The chart of some props."""

    def __init__(self, props: SpiceDBProps) -> None:
        self.props = props
        self.values = {value.path: value for value in chart_values(props)}

    @cached_property
    def templates(self) -> Mapping[str, str]:
        return templates(self.props, "spicedb", list(self.values.values()))

    def of(self, path: Path) -> list[Value]:
        """The values that stand for a prop."""
        return [value for value in self.values.values() if value.prop == ".".join(path)]

    def changes(self, other: _Chart) -> dict[str, Any]:
        """The values that have another default than those of another chart."""
        both = [(value, other.values[path]) for path, value in self.values.items() if path in other.values]
        return {own.path: _over(own.default, its.default) for own, its in both if own.default != its.default}


def _inside(chart: _Chart, path: Path, data: Mapping[str, Any]) -> ChartSettings:
    """The settings inside a part of the props."""
    kind = type(_at(chart.props, path))
    names = {camel(field.name): field.name for field in attrs.fields(kind)}
    if short_form(kind) in data:
        data = {key: {} for key in names}
    found = ChartSettings(fixed=("`datastore.engine`",) if "engine" in data else ())
    for key in filter(names.__contains__, data):
        found += _setting(chart, (*path, names[key]), data[key])
    return found


def _setting(chart: _Chart, path: Path, data: Any) -> ChartSettings:
    """One setting, perhaps with others inside."""
    value, default, name = _at(chart.props, path), _default(chart.props, path), f"`{'.'.join(map(camel, path))}`"
    special = _special(chart, path, value)
    if special:
        return special
    if not data or not attrs.has(type(value)) or type(value) in _KEYS or chart.of(path):
        return _leaf(chart, path, name, value, default)
    found = _inside(chart, path, data)
    if path == ("datastore",) and "engine" in data:
        return evolve(found, fixed=(f"the rest of {name}" if found.values else name,))
    if default is not None:
        return found
    if found.values:
        return found + ChartSettings(fixed=(f"that {name} is set",))
    return ChartSettings(fixed=(name,)) if found.fixed else ChartSettings(unused=(name,))


def _special(chart: _Chart, path: Path, value: Any) -> ChartSettings | None:
    """The settings whose values do not follow from the charts."""
    match path:
        case ("version",):
            return ChartSettings(fixed=("`version`",))
        case ("name",):
            # The Secret has the same name, unless the file names another.
            return ChartSettings(
                {"fullnameOverride": value, "secrets.presharedKey.name": chart.props.preshared_key.name}
            )
        case ("image",) if value:
            parts = zip(("repository", "tag", "digest"), image_parts(value), strict=True)
            return ChartSettings({f"image.{part}": text for part, text in parts if text})
        case ("backup", "schedule") if chart.props.monitoring.alerts:
            return ChartSettings({"backup.schedule": value}, fixed=("the alert about late backups",))
        case (part, "env"):
            variables = container_env(EnvVar(name, text) for name, text in value.items())
            return ChartSettings({f"{PATHS[part]}extraEnv": variables})
    return None


def _leaf(chart: _Chart, path: Path, name: str, value: Any, default: Any) -> ChartSettings:
    """One setting without others inside."""
    own = {
        each.path: plain(value) if each.default == "" and value is not None else each.default for each in chart.of(path)
    }
    another = _another(value, default)
    if another in (value, attrs.NOTHING):
        return ChartSettings(own) if own else ChartSettings(fixed=(name,))
    other = _Chart(with_value(chart.props, ".".join(path), another))
    found = chart.changes(other) or own
    if not own and other.templates != chart.templates:
        return ChartSettings(fixed=(name,))
    if not found:
        return ChartSettings(unused=(name,))
    # A chart without the key has no place for another one.
    return ChartSettings(found, (f"that {name} is set",) if type(value) in _KEYS and default is None else ())


def _another(value: Any, default: Any) -> Any:
    """Another value of a setting; the same, or `attrs.NOTHING`, if none is known."""
    if type(value) in _KEYS:
        return _KEYS[type(value)]
    return not value if isinstance(value, bool) and value == default else default


def _over(value: Any, default: Any) -> Any:
    """A value that takes the place of a default. Helm merges maps, and null removes a key."""
    if not isinstance(value, Mapping) or not isinstance(default, Mapping):
        return value
    removed = {key: None for key in default if key not in value}
    return {**{key: _over(each, default.get(key)) for key, each in value.items()}, **removed}


def _at(props: Any, path: Path) -> Any:
    return reduce(getattr, path, props)


def _default(props: Any, path: Path) -> Any:
    """The default of a setting; `attrs.NOTHING` if it is required."""
    owner = _at(props, path[:-1])
    default: Any = attrs.fields_dict(type(owner))[path[-1]].default
    if not hasattr(default, "factory"):
        return default
    return default.factory(owner) if default.takes_self else default.factory()
