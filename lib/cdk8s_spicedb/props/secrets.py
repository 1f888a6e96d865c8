"""Keys of Kubernetes Secrets, the only form in which secret values enter this package, and of ConfigMaps."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Annotated, Any, ClassVar, Protocol, cast

from attrs import frozen

from .fields import Message
from .flags import variable_name
from .types import ConfigMapItem, ConfigMapName, ObjectName, SecretItem, SecretName


class PlusObject(Protocol):
    """A ServiceAccount or a Secret of any version of cdk8s-plus."""

    @property
    def name(self) -> str: ...


class SecretValue(Protocol):
    """A ``SecretValue`` of any version of cdk8s-plus."""

    @property
    def secret(self) -> PlusObject: ...

    @property
    def key(self) -> str: ...


class MadeName(str):
    """The name of an object that the same app creates, and that therefore exists only with the release."""

    __slots__ = ()


def name_of(resource: str | PlusObject | None) -> Any:
    """The name of a cdk8s-plus object, as a `MadeName` if the app creates it; any other value as it is."""
    name = getattr(resource, "name", resource)
    # An object that the app only imports is a proxy without metadata.
    return MadeName(name) if isinstance(name, str) and hasattr(type(resource), "metadata") else name


ServiceAccountName = Annotated[
    ObjectName,
    Message("the name of a ServiceAccount, or a cdk8s-plus object", "use a ServiceAccount of the release's namespace"),
]


SECRET_KEY = "{SecretKey(name, key)|{name: …, key: …}}"
"""A key of a Secret, in messages."""


@frozen
class SecretKey:
    """One key of a Kubernetes Secret that exists before you install the release.

    Migrations run before Helm creates the release's own objects. So a Secret that they read cannot be part of the
    release. Every prop that takes a `SecretKey` also takes a cdk8s-plus ``SecretValue``.
    """

    message: ClassVar[Message] = Message(
        f"a {SECRET_KEY}",
        "put the value into a Secret, and name its key: "
        "{field=}{SecretKey('my-secret', 'my-key')|{name: my-secret, key: my-key}}",
        redacted=True,
    )

    name: SecretName
    """Name of the Secret, in the namespace of the release. Required."""
    key: SecretItem
    """Key in the Secret's ``data``. Required."""

    @classmethod
    def of(cls, value: SecretValue) -> SecretKey:
        """From a cdk8s-plus ``SecretValue``, for apps that define or import their Secrets with cdk8s-plus."""
        return cls(name=name_of(value.secret), key=value.key)

    def source(self) -> dict[str, Any]:
        """The ``valueFrom`` of a container's environment variable."""
        return {"secretKeyRef": {"name": str(self.name), "key": self.key}}

    def projected(self, file: str) -> dict[str, Any]:
        """The source of a projected volume that has the value as a file."""
        return {"secret": {"name": str(self.name), "items": [{"key": self.key, "path": file}]}}


CONFIG_MAP_KEY = "{ConfigMapKey(config_map, key)|{configMap: …, key: …}}"
"""A key of a ConfigMap, in messages."""


@frozen
class ConfigMapKey:
    """One key of a ConfigMap that exists before you install the release, for values that are not secret: certificates
    of CAs, such as those that trust-manager or OpenShift writes."""

    message: ClassVar[Message] = Message(
        f"a {CONFIG_MAP_KEY}",
        "name the ConfigMap and its key: "
        "{field=}{ConfigMapKey('my-config', 'my-key')|{configMap: my-config, key: my-key}}",
    )

    config_map: ConfigMapName
    """Name of the ConfigMap, in the namespace of the release. Required."""
    key: ConfigMapItem
    """Key in the ConfigMap's ``data``. Required."""

    def projected(self, file: str) -> dict[str, Any]:
        """The source of a projected volume that has the value as a file."""
        return {"configMap": {"name": self.config_map, "items": [{"key": self.key, "path": file}]}}


CA = Annotated[
    SecretKey | ConfigMapKey,
    Message(
        f"a {SECRET_KEY} or a {CONFIG_MAP_KEY}",
        "put the certificates into a Secret or a ConfigMap, and name its key: "
        "{field=}{SecretKey('my-ca', 'ca.crt')|{name: my-ca, key: ca.crt}} or "
        "{field=}{ConfigMapKey('my-ca', 'ca.crt')|{configMap: my-ca, key: ca.crt}}",
        redacted=True,
    ),
]
"""Certificates of CAs."""


EnvValue = Annotated[
    str | SecretKey,
    Message(
        f"{{a str|a text}} or a {SECRET_KEY}",
        "quote values; for a secret value, name its Secret and key",
        redacted=True,
    ),
]
"""Value of an environment variable."""


def as_secret_key(value: SecretKey | SecretValue | None) -> Any:
    """Converts a cdk8s-plus ``SecretValue``. Any other value stays, for the field's check."""
    is_value = hasattr(type(value), "secret") and hasattr(type(value), "key")
    return SecretKey.of(cast(SecretValue, value)) if is_value else value


def required_secret_key(value: SecretKey | SecretValue) -> Any:
    """Does what `as_secret_key` does, for a required field."""
    return as_secret_key(value)


def as_text(value: str | SecretKey | SecretValue | None) -> Any:
    """Does what `as_secret_key` does, for a field that also takes a text."""
    return value if isinstance(value, str) else as_secret_key(value)


def as_number(value: int | SecretKey | SecretValue | None) -> Any:
    """Does what `as_secret_key` does, for a field that also takes a number."""
    return value if isinstance(value, int) else as_secret_key(value)


def as_ca(value: SecretKey | SecretValue | ConfigMapKey | None) -> Any:
    """Does what `as_secret_key` does, for the certificates of CAs."""
    return value if isinstance(value, ConfigMapKey) else as_secret_key(value)


def required_ca(value: SecretKey | SecretValue | ConfigMapKey) -> Any:
    """Does what `as_ca` does, for a required field."""
    return as_ca(value)


def as_secret_keys(values: Any) -> Any:
    """Does what `as_secret_key` does, for each item of a sequence."""
    return tuple(map(as_secret_key, values)) if isinstance(values, (list, tuple)) else values


def with_secret_keys(env: Mapping[str, str | SecretKey | SecretValue]) -> Any:
    """Does what `as_secret_key` does, for the values of environment variables."""
    if not isinstance(env, Mapping):
        return env
    return {name: value if isinstance(value, str) else as_secret_key(value) for name, value in env.items()}


@frozen
class EnvVar:
    """An environment variable of a container."""

    name: str
    value: str | SecretKey
    """Its value, or the Secret key that holds it."""


def variable(flag: str, value: str | SecretKey) -> EnvVar:
    """The variable that SpiceDB reads instead of ``--flag``."""
    return EnvVar(variable_name(flag), value)


def container_env(variables: Iterable[EnvVar]) -> list[dict[str, Any]]:
    """A container's ``env``, in the given order: Kubernetes expands ``$(NAME)`` only for variables that come before."""
    return [
        {"name": variable.name, "valueFrom": variable.value.source()}
        if isinstance(variable.value, SecretKey)
        else {"name": variable.name, "value": variable.value}
        for variable in variables
    ]


@frozen
class SecretFiles:
    """A read-only folder of files, each from a key of any Secret or ConfigMap."""

    name: str
    """Name of the volume."""
    folder: str
    """Path of the folder in the container."""
    files: Mapping[str, SecretKey | ConfigMapKey]
    """The key of each file, by file name."""

    def path(self, file: str) -> str:
        """Path of a file in the container."""
        return f"{self.folder}/{file}"

    def volume(self) -> dict[str, Any]:
        """The pod's volume. The group may read it, because the server does not run as root."""
        sources = [key.projected(file) for file, key in self.files.items()]
        return {"name": self.name, "projected": {"defaultMode": 0o440, "sources": sources}}

    def mount(self) -> dict[str, Any]:
        """The container's volume mount."""
        return {"name": self.name, "mountPath": self.folder, "readOnly": True}
