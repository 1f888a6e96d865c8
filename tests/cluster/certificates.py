"""Certificates as Secrets of a test's namespace."""

from __future__ import annotations

import trustme

from .cluster import Namespace


def certificate(namespace: Namespace, name: str, authority: trustme.CA, issued: trustme.LeafCert) -> None:
    """A Secret with a certificate, its key and who vouches for it."""
    chain = b"".join(pem.bytes() for pem in issued.cert_chain_pems)
    key, ca = issued.private_key_pem.bytes(), authority.cert_pem.bytes()
    namespace.secret(name, {"tls.crt": chain.decode(), "tls.key": key.decode(), "ca.crt": ca.decode()})
