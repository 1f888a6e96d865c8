"""Warnings and certificates of a release."""

from __future__ import annotations

import base64
from datetime import datetime

import trustme

from cdk8s_spicedb.live.evidence import certificate_keys, find_certificates, warnings_of
from cdk8s_spicedb.live.status import status
from tests.apiserver import Object
from tests.live.objects import (
    NOTHING,
    NOW,
    cluster_of,
    deployment,
    event,
    text_of,
)


def test_warnings_are_those_of_the_release_without_repetition() -> None:
    events = [
        event("spicedb-5d9f7c8b6d-bcdfg", "Error: spicedb-5d9f7c8b6d-bcdfg is bad", minutes=3, count=4),
        event("spicedb-5d9f7c8b6d-xxxxx", "Error: spicedb-5d9f7c8b6d-xxxxx is bad", count=2),
        event("spicedb-migration-bcdfg", "other", minutes=2),
        event("spicedb-migration-0a1b2c3-bcdfg", "of kubectl", minutes=5),
        event("spicedb-backup-29738955", "of a backup", minutes=6),
        event("spicedb-volume-0a1b2c3-bcdfg", "of its volume", minutes=7),
        event("spicedb-other-5d9f7c8b6d-bcdfg", "of another release"),
        event("spicedb-2", "of another release"),
        event("spicedb", "old", minutes=61),
        {**event("spicedb", "x", minutes=9), "series": {"count": 9, "lastObservedTime": "2030-01-01T11:51:00.5Z"}},
    ]
    found = warnings_of(events, "spicedb", NOW)
    assert [(each.message, each.count) for each in found] == [
        ("Error: spicedb-5d9f7c8b6d-xxxxx is bad", 6),
        ("other", 1),
        ("of kubectl", 1),
        ("of a backup", 1),
        ("of its volume", 1),
        ("x", 9),
    ]


def test_only_certificates_are_read() -> None:
    assert certificate_keys(deployment()["spec"]["template"]) == [("tls", "tls.crt")]
    template = {"spec": {"volumes": [{"secret": {"secretName": "a"}}, {"emptyDir": {}}]}}
    assert certificate_keys(template) == [("a", "ca.crt"), ("a", "tls.crt")]


def test_certificates() -> None:
    authority = trustme.CA()
    data = {"tls.crt": authority.cert_pem.bytes(), "tls.key": b"not read", "ca.crt": b"no certificate"}
    secret = {"metadata": {"name": "tls"}, "data": {key: base64.b64encode(each).decode() for key, each in data.items()}}
    template = {"spec": {"volumes": [{"secret": {"secretName": "tls"}}, {"secret": {"secretName": "gone"}}]}}
    found = find_certificates(cluster_of(secrets=[secret]), template)
    assert [(each.secret, each.key, each.reason) for each in found] == [
        ("tls", "ca.crt", "it is no certificate in PEM format"),
        ("tls", "tls.crt", ""),
        ("gone", "ca.crt", "there is no such Secret"),
        ("gone", "tls.crt", "there is no such Secret"),
    ]
    assert (found[1].days or 0) > 365
    for each in find_certificates(cluster_of(), template):
        assert each.reason.startswith(f'secrets "{each.secret}" is forbidden: User ')
    objects = {**NOTHING, "deployments": [deployment()], "secrets": [_ended(authority)]}
    ended = status(cluster_of(**objects), "spicedb", certificates=True)
    assert ended.problems == ("the certificate tls.crt in the Secret tls has expired",)
    assert "tls/tls.crt: expires 2020-01-01T00:00:00Z" in text_of(ended)


def _ended(authority: trustme.CA) -> Object:
    leaf = authority.issue_cert("spicedb", not_after=datetime(2020, 1, 1), not_before=datetime(2019, 1, 1))
    content = base64.b64encode(leaf.cert_chain_pems[0].bytes()).decode()
    return {"metadata": {"name": "tls"}, "data": {"tls.crt": content}}
