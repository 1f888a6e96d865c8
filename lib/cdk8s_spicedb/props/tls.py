"""Certificates of the servers' ports."""

from __future__ import annotations

from typing import Any, TypeVar, cast

import attrs
from attrs import field, frozen

from .secrets import SecretKey, required_secret_key

_KEYS = {"certificate": "tls.crt", "key": "tls.key", "ca": "ca.crt"}
"""Their names in Secrets of type kubernetes.io/tls, and in those of cert-manager."""
T = TypeVar("T", bound="TLS")


@frozen(kw_only=True)
class TLS:
    """A certificate and its private key, from Secrets that already exist.

    When the Secret changes, gRPC and dispatch use the new certificate without a restart, as soon as Kubernetes has
    updated the files in the pods. This takes up to two minutes. The HTTP gateway and metrics use the new certificate
    after the next restart of the server (SpiceDB up to v1.56): see ``ServerProps.restart_on_secret_change``.
    """

    certificate: SecretKey = field(converter=required_secret_key)
    """Secret and key that hold the certificate and its intermediate certificates (PEM). Required."""
    key: SecretKey = field(converter=required_secret_key)
    """Secret and key that hold the private key of the certificate (PEM). Required."""

    @classmethod
    def from_secret(cls: type[T], name: str) -> T:
        """From a Secret of type ``kubernetes.io/tls``: its keys ``tls.crt`` and ``tls.key``, and for dispatch
        ``ca.crt``."""
        fields = [setting.name for setting in attrs.fields(cast(Any, cls))]
        return cls(**{setting: SecretKey(name, _KEYS[setting]) for setting in fields})


@frozen(kw_only=True)
class DispatchTLS(TLS):
    """TLS between the servers. Each server is also a client of the others.

    The certificate must contain the DNS name ``NAME-dispatch-tls.NAMESPACE``, such as ``spicedb-dispatch-tls.authz``.
    SpiceDB expects that name, whatever the addresses of the other servers are. A changed ``ca`` takes effect at the
    next restart.
    """

    ca: SecretKey = field(converter=required_secret_key)
    """Secret and key that hold the CA certificates (PEM) that verify the certificates of the other servers
    (``--dispatch-upstream-ca-path``). Required: without it, servers would send plain text to servers that expect
    TLS."""
