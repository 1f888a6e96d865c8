"""The texts of all rules, as users of Python and as users of files read them."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timezone
from importlib import import_module
from inspect import isfunction
from pathlib import Path
from pkgutil import iter_modules
from types import ModuleType
from typing import Any, cast, get_type_hints

import attrs
import pytest

import cdk8s_spicedb
from cdk8s_spicedb import (
    CockroachDB,
    Delivery,
    ExpiredIntegrityKey,
    ExternalService,
    Ingress,
    Monitoring,
    MySQL,
    NetworkPeer,
    NetworkPolicies,
    Patch,
    PatchOperation,
    PermissionTest,
    PodMonitor,
    Pool,
    PostgreSQL,
    Problem,
    RelationshipIntegrity,
    ServerProps,
    known_releases,
)
from cdk8s_spicedb.files.read import in_yaml
from cdk8s_spicedb.plans import planner
from cdk8s_spicedb.props import rules
from cdk8s_spicedb.props.fields import RULES, Problems, Rule, fields_of, parameters, problems
from cdk8s_spicedb.props.fieldtypes import in_python
from cdk8s_spicedb.props.secrets import MadeName
from tests.props.test_rules import BAD, KEY, Make, cleanup, datastore, migration, server, spicedb

TEXTS = Path(__file__).with_name("messages.txt")
EXPIRED = ExpiredIntegrityKey(id="a", key=KEY, expired_at=datetime(2026, 11, 1, tzinfo=timezone.utc))
INTEGRITY = RelationshipIntegrity(key_id="a", key=KEY, expired_keys=[EXPIRED])
ONE_MODE = known_releases().with_release("v9.0.0", {}, schema_modes=["read-legacy-write-legacy"])
MORE: list[Make] = [
    datastore(PostgreSQL, uri=KEY, read_replicas=["replica"]),
    datastore(PostgreSQL, uri=KEY, read_replicas=[KEY] * 17),
    datastore(PostgreSQL, uri=KEY, read_replica_pool=Pool()),
    datastore(PostgreSQL, uri=KEY, max_connections=10),
    datastore(PostgreSQL, uri=KEY, read_pool=Pool(min_open=2, max_open=1)),
    datastore(CockroachDB, uri=KEY, relationship_integrity=INTEGRITY),
    datastore(MySQL, uri=KEY, pool=Pool(min_open=1)),
    spicedb(delivery=Delivery.KUBECTL, test=PermissionTest(resource="document", permission="read", subject="user")),
    spicedb(service_account_annotations={"a": "b"}, server=ServerProps(service_account="own")),
    spicedb(patches=[Patch(kind="Job", operations=[PatchOperation(op="remove", path="/a", value=1)])]),
    spicedb(network_policies=NetworkPolicies(clients=[NetworkPeer()])),
    spicedb(server=ServerProps(metrics_enabled=False), monitoring=Monitoring(pod_monitor=PodMonitor())),
    spicedb(delivery=Delivery.KUBECTL, cleanup=cleanup(enabled=True)().cleanup),
    server(ingress=Ingress(host="a.example.com", port="http"), http_enabled=False),
    server(external_service=ExternalService(type="NodePort", load_balancer_class="a")),
    server(extra_args=["--datastore-bootstrap-files=a"]),
    migration(service_account="own", service_account_annotations={"a": "b"}),
    migration(service_account=MadeName("own")),
    migration(ttl_seconds_after_finished=60),
    spicedb(accept_advisories=["GHSA-none"]),
    spicedb(version="v9.0.0", releases=ONE_MODE, server=ServerProps(schema_mode="read-new-write-new")),
]
"""Props that break the rules that no row of ``BAD`` breaks."""


OF_PROPS = {kind: found for kind, found in RULES.items() if kind.__module__.startswith("cdk8s_spicedb.props")}
EVERY_RULE = [rule for found in OF_PROPS.values() for rule in found]


def _problems_by_rule() -> Mapping[str, list[Problem]]:
    """What each rule finds in bad props, with placeholders."""
    found: dict[str, list[Problem]] = {}

    def spied(rule: Rule) -> Rule:
        @functools.wraps(rule)
        def run(*values: Any) -> Iterator[Problem]:
            for problem in rule(*values):
                found.setdefault(rule.__name__, []).append(problem)
                yield problem

        return run

    with pytest.MonkeyPatch.context() as patch:
        for kind, of_class in OF_PROPS.items():
            patch.setitem(RULES, kind, [spied(rule) for rule in of_class])
        for make in [*(row[0] for row in BAD), *MORE]:
            list(problems(make()))
    return found


FOUND = _problems_by_rule()


def _texts() -> str:
    """What messages say is allowed and how to fix it: by rule, first for Python, then for files."""
    lines: list[str] = []
    for rule in sorted(FOUND):
        lines += [rule]
        for allowed, fix in sorted({(problem.allowed, problem.fix) for problem in FOUND[rule]}):
            shown = in_python(Problem("", "", allowed, fix))
            lines += [f"  {shown.allowed} | {shown.fix}", f"  {in_yaml(allowed)} | {in_yaml(fix)}"]
    return "\n".join(lines) + "\n"


def test_the_texts_of_all_rules_are_as_they_were() -> None:
    hint = "review the difference, then run: python -m tests.props.test_messages"
    assert _texts() == TEXTS.read_text("utf-8"), hint
    assert max(map(len, _texts().splitlines())) <= 500


def test_every_rule_has_its_texts() -> None:
    assert {rule.__name__ for rule in EVERY_RULE} == FOUND.keys()


_MODULES: Sequence[ModuleType] = [
    planner,
    *(import_module(f"{rules.__name__}.{module.name}") for module in iter_modules(rules.__path__)),
]


@pytest.mark.parametrize("module", _MODULES, ids=lambda module: module.__name__.rpartition(".")[2])
def test_every_function_that_is_a_rule_is_registered(module: ModuleType) -> None:
    registered: set[Any] = {rule for found in RULES.values() for rule in found}
    functions = [each for each in vars(module).values() if isfunction(each) and each.__module__ == module.__name__]
    public = [each for each in functions if not each.__name__.startswith("_")]
    assert [each for each in public if get_type_hints(each)["return"] == Problems and each not in registered] == []


@pytest.mark.parametrize(
    ("kind", "rule"),
    [(kind, rule) for kind in (*OF_PROPS, planner._Upgrade) for rule in RULES[kind]],
    ids=lambda value: value.__name__,
)
def test_a_rule_reads_fields_with_defaults_of_their_own(kind: Any, rule: Rule) -> None:
    # A draft has no value for a field whose default depends on other fields, and its rules would not run.
    own = {each.name for each in attrs.fields(kind) if not getattr(each.default, "takes_self", False)}
    assert own.issuperset(parameters(rule))


_CLASSES = [kind for name in cdk8s_spicedb.__all__ if attrs.has(kind := cast(Any, getattr(cdk8s_spicedb, name)))]
_TEXTS = {
    *(text for found in FOUND.values() for problem in found for text in (problem.allowed, problem.fix)),
    *(
        text
        for kind in _CLASSES
        if kind.__module__.startswith("cdk8s_spicedb.props")
        for field in fields_of(kind).values()
        for text in (field.allowed, field.fix)
    ),
}
_PYTHON_WORDS = re.compile(r"\b(True|False|None|timedelta|SecretKey|tuple)\b|\b[a-z]+_[a-z_]+=?|\w=[^\w]|\ba str\b")
_ONLY_IN_PYTHON = ("known_releases()", "(the revisions of", "datetime(", "--flag=", "from_secret_name")
"""Files cannot give a release table or an object of the app. MySQL's revisions have underscores."""


def test_files_are_not_spoken_of_in_words_of_python() -> None:
    texts = [in_yaml(text) for text in _TEXTS if not any(part in text for part in _ONLY_IN_PYTHON)]
    assert len(texts) > 150
    assert [text for text in texts if _PYTHON_WORDS.search(text)] == []


@pytest.mark.parametrize("form", [in_yaml, lambda text: in_python(Problem("", "", text, "")).allowed])
def test_no_placeholder_is_left(form: Any) -> None:
    assert [text for text in map(form, _TEXTS) if re.search(r"\{\w+=?\}|\|", text)] == []


if __name__ == "__main__":
    TEXTS.write_text(_texts(), "utf-8")
