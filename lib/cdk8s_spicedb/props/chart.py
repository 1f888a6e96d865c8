"""Who distributes a Helm chart, and what its users see of it in a registry."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal

from attrs import field, frozen

from .fields import Message, Pattern
from .types import Annotations

_Address = Annotated[
    str,
    Pattern(r"(https?|oci|mailto):\S+", "an address", max_length=2000),
    Message(fix="use an address such as 'https://example.com/spicedb'"),
]
_Text = Annotated[str, Pattern(r"[\s\S]*\S[\s\S]*", "a text", "write a text that is not empty", max_length=10_000)]


@frozen(kw_only=True)
class Maintainer:
    """A maintainer of a chart (``maintainers`` in Chart.yaml)."""

    name: _Text
    """Name of the person or team. Required."""
    email: str | None = None
    """Email address. Defaults to none."""
    url: _Address | None = None
    """URL of a page about the maintainer. Defaults to none."""


@frozen(kw_only=True)
class ChartLink:
    """A link that Artifact Hub shows beside a chart (``artifacthub.io/links``)."""

    name: _Text
    """Text of the link. In Artifact Hub, ``support`` and ``source`` have a special meaning: the link to get help, and
    the link to the source code. Required."""
    url: _Address
    """URL of the link. Required."""


@frozen(kw_only=True)
class ChartChange:
    """A change in a version of a chart (``artifacthub.io/changes``)."""

    kind: Literal["added", "changed", "deprecated", "removed", "fixed", "security"]
    """Kind of the change. Required."""
    description: _Text
    """What changed, for people who use the chart. Required."""


@frozen(kw_only=True)
class SignKey:
    """The key with which a chart is signed (``artifacthub.io/signKey``)."""

    fingerprint: Annotated[
        str, Pattern(r"[0-9A-Fa-f]{40}([0-9A-Fa-f]{24})?", "40 or 64 hexadecimal digits", "see gpg --fingerprint")
    ]
    """Fingerprint of the key. Required."""
    url: _Address
    """URL of the public key. Required."""


@frozen(kw_only=True)
class ChartMetadata:
    """Metadata of a chart: who distributes it, and what registries show of it. Everything is optional."""

    description: _Text | None = None
    """One sentence about the chart. Defaults to a sentence about SpiceDB that names the engine of the datastore."""
    home: _Address = "https://authzed.com/spicedb"
    """URL of the home page. Defaults to the home page of SpiceDB."""
    icon: _Address | None = None
    """URL of an image, which registries and dashboards show. Defaults to none, because SpiceDB publishes no permanent
    URL of its logo. Without an icon, ``helm lint`` recommends one."""
    sources: Sequence[_Address] = ("https://github.com/authzed/spicedb",)
    """URLs of the source code. Defaults to SpiceDB's repository. Add the repository in which you write the chart."""
    keywords: Sequence[_Text] = ("authorization", "permissions", "spicedb", "zanzibar")
    """Words by which people find the chart. Defaults to words about SpiceDB."""
    maintainers: Sequence[Maintainer] = ()
    """People or teams that maintain the chart. Defaults to none."""
    license: _Text = "Apache-2.0"
    """License of the chart, as an SPDX identifier (``artifacthub.io/license``). Defaults to ``Apache-2.0``, the license
    of this package and of SpiceDB."""
    links: Sequence[ChartLink] = (ChartLink(name="SpiceDB documentation", url="https://authzed.com/docs"),)
    """Links for users. Defaults to SpiceDB's documentation."""
    changes: Sequence[ChartChange] = ()
    """Changes in this version of the chart. Defaults to none."""
    sign_key: SignKey | None = None
    """Key with which you sign the chart (``helm package --sign``). Defaults to none."""
    annotations: Annotations = field(factory=dict)
    """More annotations of the chart. They take precedence over those that the package sets. Defaults to none."""
