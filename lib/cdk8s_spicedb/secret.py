"""A key of a Kubernetes Secret: the only form in which a secret value enters this package."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from attrs import field, frozen

from .checks import Metadata, instance, text

if TYPE_CHECKING:
    from cdk8s_plus_27 import SecretValue


class MadeName(str):
    """The name of an object that the same app makes, so that it is there only with the release."""

    __slots__ = ()


def name_of(resource: Any) -> Any:
    """The name of a cdk8s-plus object, of one that the app makes as a `MadeName`; whatever else it is stays."""
    name = getattr(resource, "name", resource)
    # What is only imported into an app is a proxy without metadata.
    return MadeName(name) if isinstance(name, str) and hasattr(type(resource), "metadata") else name


@frozen
class SecretKey:
    """One key of a Secret that exists before the release is installed.

    Migrations run before Helm creates the release's own objects, so a Secret that they read is never part of the
    release. Wherever a prop takes a `SecretKey` it also takes cdk8s-plus' ``SecretValue``.
    """

    name: str = field(
        metadata=text(
            r"[a-z0-9]([-a-z0-9.]*[a-z0-9])?",
            "the name of a Secret: lower-case letters, digits, '-' and '.', at most 253",
            "give the name of a Secret that exists in the release's namespace",
            shown=False,
        )
    )
    """The Secret's name, in the namespace of the release."""
    key: str = field(
        metadata=text(
            r"[-._a-zA-Z0-9]+",
            "a key of that Secret: letters, digits, '-', '_' and '.', at most 253",
            "give the key under which the Secret holds the value, not the value",
            shown=False,
        )
    )
    """The key in the Secret's ``data``."""

    @classmethod
    def of(cls, value: SecretValue) -> SecretKey:
        """From a cdk8s-plus ``SecretValue``, where an app defines or imports its Secrets with cdk8s-plus."""
        return cls(name=name_of(value.secret), key=value.key)

    def source(self) -> dict[str, Any]:
        """As the ``valueFrom`` of a container's environment variable."""
        return {"secretKeyRef": {"name": str(self.name), "key": self.key}}


def as_secret_key(value: SecretKey | SecretValue | None) -> SecretKey | None:
    """A `SecretKey` of whatever names one; what does not is left to the field's check."""
    is_value = hasattr(type(value), "secret") and hasattr(type(value), "key")
    return SecretKey.of(cast("SecretValue", value)) if is_value else cast("SecretKey | None", value)


def required_secret_key(value: SecretKey | SecretValue) -> SecretKey:
    """The same, where there has to be one."""
    return cast(SecretKey, as_secret_key(value))


def secret_key(what: str) -> Metadata:
    """The check of a field that takes a `SecretKey`; whatever else it was given is never shown."""
    return instance(
        SecretKey,
        "a SecretKey(name, key)",
        f"put {what} into a Secret and name it: SecretKey('my-secret', 'my-key')",
        shown=False,
    )
