"""What servers listen on."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from attrs import field, frozen

from ..checks import flag, instance, optional, rule
from ..errors import Problem
from .tls import TLS, DispatchTLS

_TLS = optional(
    instance(
        TLS,
        "TLS(certificate=…, key=…)",
        "write TLS.from_secret('my-secret'), or name the Secret keys of certificate and key",
    )
)


@frozen(kw_only=True, slots=False)
class Ports:
    """The ports of servers: gRPC always, the others as they are wanted, each with TLS or without."""

    http_enabled: bool = field(default=False, metadata=flag())
    """Serves the HTTP gateway on port 8443 (``--http-enabled``). Default: off, as in SpiceDB; clients use gRPC."""
    metrics_enabled: bool = field(default=True, metadata=flag())
    """Serves Prometheus metrics on port 9090 (``--metrics-enabled``). Default: on, as in SpiceDB. The port also serves
    profiles of the program, without a key."""
    grpc_tls: TLS | None = field(default=None, metadata=_TLS)
    """The certificate that clients see at gRPC (``--grpc-tls-cert-path`` and ``-key-path``), for the names by which
    they reach it, such as ``spicedb.authz.svc``. Default: no TLS."""
    http_tls: TLS | None = field(default=None, metadata=_TLS)
    """The certificate of the HTTP gateway (``--http-tls-cert-path`` and ``-key-path``). Default: no TLS."""
    metrics_tls: TLS | None = field(default=None, metadata=_TLS)
    """The certificate of the metrics (``--metrics-tls-cert-path`` and ``-key-path``). Default: no TLS."""
    dispatch_tls: DispatchTLS | None = field(
        default=None,
        metadata=optional(
            instance(
                DispatchTLS,
                "DispatchTLS(certificate=…, key=…, ca=…)",
                "write DispatchTLS.from_secret('my-secret'), or name the Secret keys of certificate, key and ca",
            )
        ),
    )
    """The certificate that servers show each other (``--dispatch-cluster-tls-cert-path``, ``-key-path`` and
    ``--dispatch-upstream-ca-path``), for the name ``NAME-dispatch-tls.NAMESPACE``. Default: no TLS. It
    may be switched on and off under load: servers with it and servers without it do not meet."""
    dispatch_enabled: bool | None = field(default=None, metadata=optional(flag()))
    """Spreads the work of a request over the servers and shares their caches (``--dispatch-cluster-enabled`` and
    ``--dispatch-upstream-addr``), for which they watch the endpoints of a Service for it. Default: on, except with the
    memory engine, whose one server has nobody to share with."""

    @property
    def tls(self) -> Mapping[str, TLS]:
        """The TLS of each port that has it, by the port's name."""
        given = {
            "grpc": self.grpc_tls,
            "http": self.http_tls,
            "metrics": self.metrics_tls,
            "dispatch": self.dispatch_tls,
        }
        return {port: tls for port, tls in given.items() if tls is not None}

    @rule("http_tls", "http_enabled", "metrics_tls", "metrics_enabled", "dispatch_tls", "dispatch_enabled")
    def _tls_is_of_open_ports(self) -> Iterator[Problem]:
        for port in self.tls:
            if getattr(self, f"{port}_enabled", True) is False:
                yield Problem(
                    f"{port}_tls",
                    "(set)",
                    f"nothing with {port}_enabled=False",
                    f"leave it out, or write {port}_enabled=True",
                )
