"""The JSON Schema of props, beside the reader that it describes."""

from __future__ import annotations

from importlib.resources import files
from typing import Any

import attrs
import jsonschema
import pytest
import yaml

from cdk8s_spicedb import InvalidProps, Memory, MigrationProps, Problem, SecretKey, ServerProps, SpiceDBProps
from cdk8s_spicedb.files.read import in_yaml, read_props
from cdk8s_spicedb.files.schema import field_schema, field_texts, for_files, props_schema
from cdk8s_spicedb.props.fields import camel
from cdk8s_spicedb.props.fieldtypes import in_python

SCHEMA = props_schema()
VALIDATOR = jsonschema.Draft202012Validator(SCHEMA)
BASE = {"datastore": {"engine": "postgres", "uri": {"name": "spicedb", "key": "uri"}}}


def test_it_is_a_sound_schema() -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)


@pytest.mark.parametrize(
    "more",
    [
        {},
        {"server": {"replicas": 3, "logLevel": "warn", "shutdownGracePeriod": "1m30s"}},
        {"server": {"env": {"A": "b", "C": {"name": "x", "key": "y"}}, "replicas": None}},
        {"server": {"tolerations": [{"key": "a", "operator": "Exists"}], "extraArgs": ["--dispatch-max-depth=9"]}},
        {"migration": {"targetPhase": "write", "podAnnotations": {"a": "1"}, "migrationTimeout": "1500ms"}},
        {"server": {"grpcTls": {"fromSecret": "clients"}, "dispatchTls": {"fromSecret": "dispatch"}}},
        {"delivery": "argocd", "labels": {"team": "identity"}},
        {"datastore": {"engine": "memory"}},
        {"datastore": {"engine": "spanner", "project": "p", "instance": "i", "database": "d"}},
    ],
)
def test_what_the_reader_takes_fits(more: dict[str, Any]) -> None:
    data = {**BASE, **more}
    read_props(yaml.safe_dump(data), "file")
    VALIDATOR.validate(data)


@pytest.mark.parametrize(
    "more",
    [
        {"datastore": {"engine": "postgre"}},
        {"datastore": {"engine": "memory", "uri": {"name": "a", "key": "b"}}},
        {"datastore": None},
        {"server": {"replicas": 0}},
        {"server": {"replicas": "3"}},
        {"server": {"log_level": "info"}},
        {"server": {"logLevel": "verbose"}},
        {"server": {"shutdownGracePeriod": 90}},
        {"server": {"env": {"A": 5}}},
        {"server": {"extraArgs": "--a"}},
        {"server": {"tolerations": [{"kee": "a"}]}},
        {"server": {"grpcTls": {"fromSecret": "clients", "key": {"name": "clients", "key": "tls.key"}}}},
        {"server": {"grpcTls": {"fromSecret": "Clients"}}},
        {"server": {"podAnnotations": {"checksum/migration-config": "mine"}}},
        {"migration": {"targetPhase": "writ"}},
        {"migration": {"resources": {"limits": {"memory": "1Gi"}}}},
        {"presharedKey": "hunter2"},
        {"delivery": "flux"},
        {"name": "Capital"},
        {"nmae": "spicedb"},
    ],
)
def test_what_the_reader_refuses_does_not_fit(more: dict[str, Any]) -> None:
    data = {**BASE, **more}
    with pytest.raises(InvalidProps):
        read_props(yaml.safe_dump(data), "file")
    assert list(VALIDATOR.iter_errors(data))


def test_the_starting_file_fits() -> None:
    text = (files("cdk8s_spicedb.files") / "init.yaml").read_text("utf-8").replace("VERSION", "v1.56.0")
    VALIDATOR.validate(yaml.safe_load(text))


def test_every_field_is_described() -> None:
    described = [SCHEMA, *SCHEMA["$defs"].values(), *SCHEMA["$defs"]["TLS"]["oneOf"]]
    texts = [field["description"] for each in described for field in each.get("properties", {}).values()]
    assert len(texts) > 50
    assert all(len(text) > 20 for text in texts)
    assert not [text for text in texts if "``" in text or "None" in text]


def test_only_what_python_alone_can_give_is_missing() -> None:
    fields = {camel(setting.name) for setting in attrs.fields(SpiceDBProps)}
    assert fields - set(SCHEMA["properties"]) == {"releases"}


def test_the_text_of_a_field_is_that_of_the_nearest_class() -> None:
    assert field_texts(ServerProps)["resources"].startswith("Resources of each server")
    assert field_texts(MigrationProps)["pod_labels"].startswith("Labels of the pods")


def test_without_sources_there_is_no_text(monkeypatch: pytest.MonkeyPatch) -> None:
    def nothing(_: object) -> str:
        raise OSError

    monkeypatch.setattr("inspect.getsource", nothing)
    assert field_texts.__wrapped__(Memory) == {}


def test_one_field_by_itself_is_complete() -> None:
    assert field_schema(ServerProps, "log_level") == {"enum": ["trace", "debug", "info", "warn", "error"]}
    assert field_schema(SecretKey, "name")["type"] == "string"
    assert "kind" not in str(field_schema(MigrationProps, "migration_timeout"))
    assert "maxReplicas" in field_schema(ServerProps, "autoscaling")["anyOf"][0]["properties"]


@pytest.mark.parametrize(
    ("text", "python", "file"),
    [
        ("less than {active_deadline_seconds}, 600 s", "active_deadline_seconds, 600", "activeDeadlineSeconds, 600"),
        ("write {True} or {False}", "write True or False", "write true or false"),
        ("{a datetime.timedelta|a duration} from 1 s", "a datetime.timedelta from", "a duration from"),
        (
            "or {uri=}{SecretKey(…)|{name: …, key: …}} with",
            "or uri=SecretKey(…) with",
            "or uri: {name: …, key: …} with",
        ),
        ("set {allow_unknown_target=}{True} if", "set allow_unknown_target=True if", "set allowUnknownTarget: true if"),
        ("a number, or {None}", "a number, or None", "a number, or null"),
        ("such as {'memory': '1Gi'}", "such as {'memory': '1Gi'}", "such as {'memory': '1Gi'}"),
    ],
)
def test_messages_are_in_the_words_of_python_or_of_files(text: str, python: str, file: str) -> None:
    assert python in in_python(Problem("", "", text, "")).allowed
    assert file in in_yaml(text)


def test_docstrings_are_put_in_the_words_of_files() -> None:
    text = "Time of ``max_lifetime``, True or False. Defaults to None: Nonetheless, ``extra_args`` counts."
    assert for_files(text) == "Time of `maxLifetime`, true or false. Defaults to null: Nonetheless, `extraArgs` counts."
