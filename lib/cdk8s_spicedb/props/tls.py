"""TLS for the ports that servers listen on."""

from __future__ import annotations

from typing import Any, TypeVar, cast

import attrs
from attrs import field, frozen

from ..secret import SecretKey, required_secret_key, secret_key

_KEYS = {"certificate": "tls.crt", "key": "tls.key", "ca": "ca.crt"}
"""What Secrets of type kubernetes.io/tls, and those that cert-manager makes, call them."""
T = TypeVar("T", bound="TLS")


@frozen(kw_only=True)
class TLS:
    """A certificate and its key, from Secrets that exist already.

    When their Secret changes, gRPC and dispatch show the new certificate without a restart, as soon as Kubernetes has
    brought it to the pods, which takes up to two minutes. The HTTP gateway and metrics show it from the next restart on
    (SpiceDB up to v1.56): see ``ServerProps.restart_on_secret_change``.
    """

    certificate: SecretKey = field(converter=required_secret_key, metadata=secret_key("the certificate"))
    """The Secret key that holds the certificate and those between it and the CA (PEM). Required."""
    key: SecretKey = field(converter=required_secret_key, metadata=secret_key("the certificate's key"))
    """The Secret key that holds the certificate's private key (PEM). Required."""

    @classmethod
    def from_secret(cls: type[T], name: str) -> T:
        """From a Secret of type ``kubernetes.io/tls``: its keys ``tls.crt`` and ``tls.key``, and ``ca.crt`` where it
        is needed."""
        fields = [setting.name for setting in attrs.fields(cast(Any, cls))]
        return cls(**{setting: SecretKey(name, _KEYS[setting]) for setting in fields})


@frozen(kw_only=True)
class DispatchTLS(TLS):
    """TLS between the servers, each of which is client of the others.

    The certificate has to hold the DNS name ``NAME-dispatch-tls.NAMESPACE``, such as ``spicedb-dispatch-tls.authz``: it
    is what SpiceDB asks of the others, whatever their addresses are. A ``ca`` that changes is read at the next restart.
    """

    ca: SecretKey = field(converter=required_secret_key, metadata=secret_key("the CA's certificate"))
    """The Secret key that holds the CA certificates (PEM) that the other servers' certificate is checked against
    (``--dispatch-upstream-ca-path``). Required: without it servers would talk without TLS to ones that want it."""
