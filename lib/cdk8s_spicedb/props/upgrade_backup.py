"""The backup that the command ``upgrade`` makes. It is not part of a release."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

from annotated_types import Predicate
from attrs import frozen

from .fields import Message, Pattern
from .types import Seconds, not_of_yaml


def _is_named(value: object) -> bool:
    """Whether a value is an object of Kubernetes with a name."""
    if not isinstance(value, Mapping) or any(not_of_yaml(value)):
        return False
    metadata = value.get("metadata")
    name = metadata.get("name") if isinstance(metadata, Mapping) else None
    return all(isinstance(each, str) and each for each in (value.get("apiVersion"), value.get("kind"), name))


_Word = Annotated[
    str,
    Pattern(r"[\s\S]+", "a word of a command line, not empty", max_length=10_000),
    Message(fix="write the program and each of its arguments as an item of its own", redacted=True),
]
_Object = Annotated[
    Any,
    Predicate(_is_named),
    Message(
        "an object with apiVersion, kind and metadata.name", "write it as in a manifest, and quote dates", redacted=True
    ),
]
_FieldValue = Annotated[
    str,
    Pattern(r"(\.[A-Za-z0-9_-]+)+=[^\s=](.*\S)?", "the path of a field, '=' and its value", max_length=1000),
    Message(fix="use a text such as '.status.phase=completed'"),
]


@frozen(kw_only=True)
class UpgradeBackup:
    """A backup that the command `upgrade` makes before each step that may be impossible to roll back.

    Set either ``command`` or ``manifest``. If the backup fails, the upgrade stops before anything of the step is
    applied.
    """

    command: Sequence[_Word] | None = None
    """Program and its arguments, which run without a shell on the machine that runs `upgrade`. It must exit with 0 when
    the backup is complete. Its last line on stdout says where the backup is: if a step cannot be rolled back, the
    commands say that you should restore this backup. Defaults to none: set it, or ``manifest``."""
    manifest: _Object | None = None
    """Object to create in the namespace of the release, such as a ``Backup`` of CloudNativePG. Its name gets a unique
    suffix. The command does not delete it. Defaults to none: set it, or ``command``."""
    wait_for: _FieldValue | None = None
    """Field and value that the object has when the backup is complete, such as ``.status.phase=completed``, as
    in `kubectl wait --for=jsonpath=…`. Defaults to none: set it with ``manifest``, because each kind of object says it
    in another way."""
    fail_on: _FieldValue | None = None
    """Field and value that the object has when the backup has failed, such as ``.status.phase=failed``. Defaults to
    none: the backup then fails after ``timeout_seconds``."""
    timeout_seconds: Seconds = 3600
    """Time limit of the backup, in seconds. After it, the program is stopped, and the backup counts as failed. Defaults
    to 3600, because a backup of a large database takes long."""
