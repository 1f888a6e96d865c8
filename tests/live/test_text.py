"""Logs and secret values, as people may see them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from cdk8s_spicedb.live.text import first_error, in_words, last_error, redacted, shown


def test_logs_in_words() -> None:
    info, error = '{"level":"info","message":"starts"}', '{"level":"error","message":"ended","error":"no password=abc"}'
    assert in_words(info) == "starts"
    assert in_words(error) == "ended: no password=(hidden)"
    assert in_words("[1]") == "[1]"
    assert last_error(f"{error}\n{info}\n") == "ended: no password=(hidden)"
    assert last_error(f"{error}\npanic: x") == "panic: x"
    assert last_error(f"{info}\n\n") == "starts"
    assert last_error("") == ""


def test_first_error_of_a_log() -> None:
    usage = "\n".join(["unknown flag: --x", "Usage:", *("  text" for _ in range(9))])
    assert first_error(usage) == "unknown flag: --x"
    lines = ['{"level":"info","message":"starts"}', '{"level":"fatal","message":"stops","error":"why"}', "a", "b"]
    assert first_error("\n".join(lines)) == "stops: why"
    assert first_error("a\nError: b\nc\nd\ne") == "Error: b"
    assert first_error("a\nb\nc\nd") == first_error("") == ""


@pytest.mark.parametrize("line", ["[" * 200_000, '{"a":' * 50_000, '{"message":' + "[" * 3_000, "x" * 10**6])
def test_one_line_of_any_depth_and_length_is_text(line: str) -> None:
    for text in (in_words(line), first_error(line), last_error(line), redacted(line)):
        assert text.startswith(line[:1000])
        assert len(text) < 5000


def test_long_lines_end_with_a_word() -> None:
    text = redacted(f"{'word ' * 2000}\nshort")
    assert text.splitlines() == [f"{('word ' * 819).strip()} ...", "short"]


# ---------------------------------------------------------------- what is hidden

SECRET = "S3CR3T"
URIS = r"""
postgres://u:S3CR3T@h/d
postgres://my.user:S3CR3T@h/d
postgres://u:pw@S3CR3T@h:5432/d
postgres://u:S3CR3T%@127.0.0.1:1/d
postgres://u:a S3CR3T@127.0.0.1:1/d
parse "postgres://u:a S3CR3T@127.0.0.1:1/d": net/url: invalid userinfo
parse "postgres://u:a\"S3CR3T@127.0.0.1:1/d": net/url: invalid userinfo
postgres://u:S3CR3T#x@127.0.0.1:1/d
postgres://u:S3CR3T/x@h/d
postgres://u:1/S3CR3T@h/d
postgres://u:S3CR3T?x@h/d?sslmode=require
postgres://u:S3CR3T@[::1/d
postgres://u:S3CR3T
postgres:/u:S3CR3T@127.0.0.1/d
postgres:\/\/u:S3CR3T@h\/d
mongodb+srv://u:S3CR3T@h/d
redis://:S3CR3T@h:6379/0
https://S3CR3T@github.com/x
http_proxy=http://u:S3CR3T@proxy:3128
HTTPS_PROXY=u:S3CR3T@proxy:3128
dsn="postgres://u:S3CR3T@h/d" other=1
u:S3CR3T@tcp(h:3306)/d
u:pw@S3CR3T@tcp(h)/d
u:S3CR3T/x@tcp(127.0.0.1:1)/d?parseTime=true
u:S3CR3T@unix(/tmp/mysql.sock)/d
u:S3CR3T@127.0.0.1:1/d?parseTime=true
u:S3CR3T@/d
uri=u:p@S3CR3T@/d
parse "u:S3CR3T@tcp(127.0.0.1:1)/d": first path segment in URL cannot contain colon
parse "u:a S3CR3T b@tcp(127.0.0.1:1)/d": net/url: invalid userinfo
error: {"dsn":"u:S3CR3T@tcp(h)/d","x":1}
jdbc:postgresql://h/d?user=u&password=S3CR3T
https://h/x?access_token=S3CR3T&user=u
cannot parse `postgres://u:xxxxxx@127.0.0.1:1/d`: failed to parse as URL (invalid port ":S3CR3T" after host)
cannot parse `S3CR3T`: failed to parse as keyword/value (invalid keyword/value)
cannot parse `host=h password=xxxxx S3CR3T port=x`: failed to parse as keyword/value (invalid keyword/value)
"""
PAIRS = r"""
host=a password=S3CR3T user=b
host=a password='x S3CR3T' user=b
host=a password = 'x\' S3CR3T' user=b
user=u, password=S3CR3T, host=h
Password="S3CR3T";Server=h
{"password":"S3CR3T","user":"u"}
{"password": "a\"S3CR3T", "user":"u"}
{\"password\":\"S3CR3T\"}
{"db":{"adminPassword":"S3CR3T"}}
{"auths":{"ghcr.io":{"auth":"S3CR3T"}}}
{'password': 'S3CR3T'}
'password' => 'S3CR3T'
password := "S3CR3T"
<password>S3CR3T</password>
q=password%3DS3CR3T
password: S3CR3T
  dbPassword: "x S3CR3T"
user: u password: S3CR3T
{user: u, password: correct-horse-S3CR3T}
map[password:S3CR3T user:u]
core.EnvVar{Name:"DB_PASSWORD", Value:"S3CR3T", ValueFrom:(*core.EnvVarSource)(nil)}
{"name":"DB_PASSWORD","value":"S3CR3T"}
CREATE ROLE u WITH PASSWORD 'S3CR3T'
ALTER USER u IDENTIFIED BY 'S3CR3T'
PGPASSWORD=S3CR3T psql
DATASTORE_PASSWORD=S3CR3T
DB_PASSWORD_OLD=S3CR3T
export MYSQL_PWD="x S3CR3T"
SPICEDB_GRPC_PRESHARED_KEY=S3CR3T
SPICEDB_GRPC_PRESHARED_KEY=one,S3CR3T
PRESHARED_KEY_0=S3CR3T
AWS_SECRET_ACCESS_KEY=S3CR3T
AccountKey=S3CR3T==
API_KEY=S3CR3T
CLIENT_SECRET=S3CR3T
failed: token=S3CR3T
--grpc-preshared-key=S3CR3T
--grpc-preshared-key="one,S3CR3T"
--grpc-preshared-key S3CR3T
--grpc-preshared-key one,S3CR3T --log-level=info
["serve","--grpc-preshared-key","S3CR3T"]
['serve', '--grpc-preshared-key', 'S3CR3T']
--token S3CR3T
grpc-preshared-key: S3CR3T
x-api-key: S3CR3T
"""
TOKENS = r"""
Authorization: Bearer S3CR3T
authorization: Basic dTpTS3CR3TM0NSM1Q=
"authorization":"Bearer S3CR3T"
Authorization: token S3CR3T
eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJ1In0.S3CR3T
AKIAS3CR3T0123456789
-----BEGIN PRIVATE KEY-----\nMIIS3CR3TMIIS3CR3TMII\n-----END PRIVATE KEY-----
-----BEGIN EC PRIVATE KEY----- MIIS3CR3TMIIS3CR3TMIIbc
MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQC7S3CR3Tabcdef
"""


@pytest.mark.parametrize("text", [line for part in (URIS, PAIRS, TOKENS) for line in part.strip("\n").splitlines()])
def test_secrets_are_hidden(text: str) -> None:
    assert SECRET in text
    for found in (redacted(text), in_words(text), in_words(json.dumps({"message": "it failed", "error": text}))):
        assert "S3C" not in found
        assert "(hidden)" in found


def test_secrets_in_several_lines_are_hidden() -> None:
    pem = f"a\n-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\n\n{SECRET}\n-----END RSA PRIVATE KEY-----\nb"
    assert redacted(pem) == "a\n-----BEGIN RSA PRIVATE KEY-----(hidden)-----END RSA PRIVATE KEY-----\nb"
    variables = f"- name: DB_PASSWORD\n  value: {SECRET}\n- name: LOG\n  value: debug"
    assert redacted(variables) == "- name: DB_PASSWORD\n  value: (hidden)\n- name: LOG\n  value: debug"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("postgres://user:p%40ss@host/db", "postgres://(hidden)@host/db"),
        ("postgres://u:p@a:5432,b:5432/db?sslmode=x", "postgres://(hidden)@a:5432,b:5432/db?sslmode=x"),
        ("postgres://u:p@h/db?application_name=a@b", "postgres://(hidden)@h/db?application_name=a@b"),
        ("user:pass@tcp(host:3306)/db", "(hidden)@tcp(host:3306)/db"),
        ("dial u:p@ss@tcp(h)/d, then", "dial (hidden)@tcp(h)/d, then"),
        ("host=a password='b c' user=d", "host=a password=(hidden) user=d"),
        ("https://h/x?access_token=abc&user=u", "https://h/x?access_token=(hidden)&user=u"),
        ("--grpc-preshared-key=abc --x=1", "--grpc-preshared-key=(hidden) --x=1"),
        ('{"password":"a","user":"u"}', '{"password":(hidden),"user":"u"}'),
        ("cannot parse `host=h user=u x`: why", "cannot parse `host=h user=u (hidden)`: why"),
        ('(invalid port ":abc" after host)', '(invalid port "(hidden)" after host)'),
        ("PGPASSWORD=abc psql -h db", "PGPASSWORD=(hidden) psql -h db"),
    ],
)
def test_what_stands_beside_a_secret_stays(text: str, expected: str) -> None:
    assert redacted(text) == expected


@pytest.mark.parametrize(
    "unit",
    [
        *("x", "://", "://a", "://u:p", "a:b", "a:b@", "=a:", "@tcp(", "a@", "password ", "password=", "password='"),
        *(
            '"password":',
            "token:",
            "--token ",
            "secret: ",
            "_KEY",
            "api-key",
            "Bearer ",
            "basic a",
            "eyJ",
            "-eyJaaaaaaaa",
        ),
        *(
            "-eyJaaaaaaaa",
            'invalid port "',
            "cannot parse `",
            "-----BEGIN ",
            "-----BEGIN A-----",
            "'",
            '"',
            "\\",
            "\\\\",
            "[{",
        ),
        *('password"\n value:', "password \n", "value:", "A1a/"),
    ],
)
def test_any_text_is_redacted_in_linear_time(unit: str) -> None:
    # If the time grew with the square of the length, these would take hours.
    assert redacted((unit * 10**6)[: 10**6])
    assert redacted(((unit * 4000)[:4000] + "\n") * 20)


# ---------------------------------------------------------------- what stays

MESSAGES = Path(__file__).with_name("messages.txt")
"""What SpiceDB, PostgreSQL, MySQL, Helm and Kubernetes say, without a secret."""


@pytest.mark.parametrize("text", MESSAGES.read_text().splitlines())
def test_harmless_words_stay(text: str) -> None:
    assert redacted(text) == text


# ---------------------------------------------------------------- fields of objects

POD = "spec.template.spec"
BOX = f"{POD}.containers[spicedb]"


@pytest.mark.parametrize(
    ("path", "value"),
    [
        *(
            (f"{BOX}.env[{name}].value", SECRET)
            for name in (
                *(
                    "SPICEDB_GRPC_PRESHARED_KEY",
                    "SPICEDB_DATASTORE_CONN_URI",
                    "SPICEDB_DATASTORE_READ_REPLICA_CONN_URI",
                ),
                *("PGPASSWORD", "MYSQL_PWD", "DB_PASSWORD", "AWS_SECRET_ACCESS_KEY", "API_KEY", "CLIENT_SECRET"),
                *("DATABASE_URL", "HTTPS_PROXY", "COMPANY_THING", "0", "1"),
            )
        ),
        (f"{BOX}.env[0][value]", SECRET),
        (f"{BOX}.env", [{"name": "A", "value": SECRET}, {"name": "A", "value": SECRET}]),
        (f"{POD}.initContainers[a]", {"name": "a", "env": [{"name": "A", "value": SECRET}]}),
        (f"{BOX}.args[--grpc-preshared-key]", SECRET),
        (f"{BOX}.args[--datastore-conn-uri]", f"host=x password={SECRET}"),
        (f"{BOX}.args[--other-api-token]", SECRET),
        (f"{BOX}.args", ["serve", "--grpc-preshared-key", SECRET]),
        (f"{BOX}.args", ["serve", f"--grpc-preshared-key={SECRET}"]),
        (f"{BOX}.command", ["sh", "-c", f"PGPASSWORD={SECRET} psql -h db"]),
        (f"{BOX}.command", ["sh", "-c", f"exec spicedb serve --grpc-preshared-key {SECRET}"]),
        (f"{BOX}.livenessProbe.httpGet.httpHeaders[Authorization].value", SECRET),
        ("metadata.annotations.password", SECRET),
        ("metadata.annotations[example.com/api-key]", SECRET),
        ("metadata.annotations[example.com/config]", f'{{"password": "{SECRET}"}}'),
        ("spec.template.metadata.annotations[example.com/dsn]", SECRET),
        ("data.password", SECRET),
        ("data[db.properties]", f"user=u\npassword={SECRET}\n"),
        ("data[config.yaml]", f"user: u\npassword: {SECRET}\n"),
        ("binaryData.token", SECRET),
    ],
)
def test_values_of_fields_that_may_be_secret_are_hidden(path: str, value: Any) -> None:
    found = json.dumps(shown(path, value))
    assert SECRET in json.dumps(value)
    assert SECRET not in found
    assert "(hidden)" in found


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (f"{BOX}.env[SPICEDB_GRPC_PRESHARED_KEY].value", "$(A),$(B)"),
        (f"{BOX}.env[PASSWORD].valueFrom.secretKeyRef.name", "spicedb"),
        (f"{BOX}.env[PASSWORD].valueFrom.secretKeyRef.key", "password"),
        (f"{BOX}.env[PASSWORD].name", "PASSWORD"),
        (f"{BOX}.env[SPICEDB_LOG_LEVEL].value", "debug"),
        (f"{BOX}.env[SPICEDB_DATASTORE_ENGINE].value", "postgres"),
        (f"{BOX}.env[SPICEDB_DATASTORE_CREDENTIALS_PROVIDER_NAME].value", "aws-iam"),
        (f"{BOX}.env[GOMAXPROCS].value", "2"),
        (f"{BOX}.args[--log-level]", "debug"),
        (f"{BOX}.args[--grpc-tls-key-path]", "/tls/tls.key"),
        (f"{BOX}.args[--datastore-relationship-integrity-current-key-id]", "key1"),
        (f"{BOX}.args[--datastore-conn-pool-read-max-open]", "20"),
        (f"{BOX}.args", ["serve", "--log-level", "debug"]),
        (f"{BOX}.command", ["spicedb", "migrate", "head"]),
        (f"{BOX}.image", "ghcr.io/authzed/spicedb:v1.56.0"),
        (f"{POD}.volumes[tls]", {"name": "tls", "secret": {"secretName": "spicedb-grpc", "defaultMode": 288}}),
        (f"{POD}.tolerations[key]", {"key": "team", "value": "authz"}),
        ("metadata.annotations[secret.reloader.stakater.com/reload]", "spicedb"),
        ("metadata.annotations[checksum/schema]", "9f86d081884c7d65"),
        ("metadata.labels.team", "authz"),
        ("data[schema.zed]", "definition secret {\n  relation token: user\n  permission view = token->member\n}"),
        ("spec.replicas", 3),
    ],
)
def test_other_values_of_fields_stay(path: str, value: Any) -> None:
    assert shown(path, value) == value
