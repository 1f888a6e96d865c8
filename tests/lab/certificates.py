"""Certificates in Secrets of the test's namespace."""

from __future__ import annotations

import trustme

from .cluster import Namespace


def certificate(namespace: Namespace, name: str, authority: trustme.CA, leaf: trustme.LeafCert) -> None:
    """Creates a Secret with a certificate, its key and the CA."""
    chain = b"".join(pem.bytes() for pem in leaf.cert_chain_pems)
    key, ca = leaf.private_key_pem.bytes(), authority.cert_pem.bytes()
    namespace.secret(name, {"tls.crt": chain.decode(), "tls.key": key.decode(), "ca.crt": ca.decode()})
