"""Names that stand for an expression in the manifests from which templates are made."""

from __future__ import annotations

FULLNAME = "cdk8s-spicedb-fullname"
"""The name of the SpiceDB, which the value ``fullnameOverride`` can change."""
ACCOUNT = "cdk8s-spicedb-account"
"""The ServiceAccount of the servers, which the value ``serviceAccount.name`` can change."""
IDENTITY = "cdk8s-spicedb-identity"
"""An annotation of the ServiceAccounts, which the value ``serviceAccount.annotations`` replaces."""
