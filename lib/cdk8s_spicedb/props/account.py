"""ServiceAccounts that users have already."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..checks import Metadata, text
from ..secret import name_of

if TYPE_CHECKING:
    from cdk8s_plus_27 import IServiceAccount


def account_name(account: str | IServiceAccount | None) -> str | None:
    """The name of a ServiceAccount that is given by its name or as cdk8s-plus' object."""
    name: str | None = name_of(account)
    return name


def service_account_check() -> Metadata:
    return text(
        r"[a-z0-9]([-a-z0-9.]*[a-z0-9])?",
        "the name of a ServiceAccount, or cdk8s-plus' object",
        "give the name of a ServiceAccount that exists in the release's namespace",
    )
