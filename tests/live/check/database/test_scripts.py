"""The scripts that run the client of a database: what it gets, and what leaves the pod."""

from __future__ import annotations

import json
import shutil
import stat
import subprocess
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from attrs import frozen

from cdk8s_spicedb.live.check.database.engine import script

from .answers import Answer

FAKE = """#!/bin/sh
cat > /dev/null
[ "$1" = --version ] && echo "{version}" && exit
printf '%s\\0' "$@" > {folder}/arguments
env -0 > {folder}/environment
{act}
"""


SHELLS = [found for name in ("dash", "bash") if (found := shutil.which(name))]


@frozen
class Seen:
    """What a script printed, and what its client got."""

    facts: list[Answer]
    arguments: list[str]
    environment: dict[str, str]
    output: str

    @property
    def uri(self) -> str:
        """The URI that psql got. Empty if it was not started."""
        return self.arguments[-1] if self.arguments else ""


@pytest.fixture(params=SHELLS, ids=lambda shell: Path(shell).name)
def client(request: pytest.FixtureRequest, tmp_path: Path) -> Any:
    """Runs a script with a client that writes down its arguments and then acts."""

    def run(name: str, uri: str, act: str = "", version: str = "x MariaDB", **env: str) -> Seen:
        for program in ("psql", "mariadb"):
            file = tmp_path / program
            file.write_text(FAKE.format(folder=tmp_path, act=act, version=version))
            file.chmod(0o755)
        files = {name: tmp_path / name for name in ("errors", "service", "arguments", "environment")}
        text = script("common.sh") + script(name)
        for each in ("errors", "service"):
            files[each].unlink(missing_ok=True)
            text = text.replace(f"/tmp/{each}", str(files[each]))
        for each in ("arguments", "environment"):
            files[each].write_text("")
        text = text.replace("/usr/lib/postgresql/*", f"{tmp_path}/nowhere/*")
        variables = {"PATH": f"{tmp_path}:/usr/bin:/bin", "SPICEDB_DATASTORE_CONN_URI": uri, "CHECK_SQL": "x", **env}
        result = subprocess.run([request.param, "-c", text], env=variables, capture_output=True, text=True, timeout=20)
        assert (result.returncode, result.stderr) == (0, "")
        arguments, environment = (files[each].read_text(errors="replace") for each in ("arguments", "environment"))
        return Seen(
            [json.loads(line) for line in result.stdout.splitlines()],
            arguments.split("\0")[:-1],
            dict(each.partition("=")[::2] for each in environment.split("\0")[:-1]),
            result.stdout,
        )

    run.number = request.param_index  # type: ignore[attr-defined]
    return run


def test_parameters_that_only_the_driver_knows(client: Any) -> None:
    uri = "postgres://u:p@h/d?pool_max_conns=3&sslmode=disable&search_path=a%20b&statement_cache_mode=describe"
    found = client("postgres.sh", uri)
    assert [fact["fact"] for fact in found.facts] == ["pool", "done"]
    assert found.uri == (
        "postgresql://u@h/d?application_name=cdk8s-spicedb-check&sslmode=disable&options=%20-c%20search_path%3Da%5C%20b"
    )


NAME = "postgresql://{}?application_name=cdk8s-spicedb-check"
HARD = "p:/@?#[]&=+% %41'\"\\${x}\n"
"""A password with all characters that mean something in a URI."""


@pytest.mark.parametrize(
    ("uri", "reaches", "password"),
    [
        ("postgres://u:p@h:5433/d", "u@h:5433/d", "p"),
        ("postgresql://u:%70%3A%40%2f%0a@h/d?sslmode=require", "u@h/d|&sslmode=require", "p:@/\n"),
        ("postgres://u:a@b@h/d", "u@h/d", "a@b"),
        ("postgres://u@v:a:b@h", "u%40v@h", "a:b"),
        ("postgres://u:p@a:1,b:2,[::1]:3/d", "u@a:1,b:2,[::1]:3/d", "p"),
        ("postgres://u:p@%2Frun%2Fpostgresql/d#x?password=y", "u@%2Frun%2Fpostgresql/d", "p"),
        ("postgres://u:p@h/d?password=q+r%2B", "u@h/d", "q r+"),
        ("postgres://u:p@h/d?pass%77ord=q", "u@h/d", "q"),
        ("postgres:///d?host=h&user=u@v&password=p", "/d|&host=h&user=u@v", "p"),
        ("postgres://u@h/d", "u@h/d", ""),
        ("postgres://u:@h/d", "u@h/d", ""),
        ("host=h user=u password=p dbname=d", "/|&host=h&user=u&dbname=d", "p"),
        (" user = u password='a \\'b\\\\' host=h", "/|&user=u&host=h", "a 'b\\"),
        ("password=a\\ b%41&c+#  user='a b'\tpool_max_conns=3", "/|&user=a%20b", "a b%41&c+#"),
        ("password=''", "/", ""),
    ],
)
def test_passwords_of_postgresql_are_no_arguments(client: Any, uri: str, reaches: str, password: str) -> None:
    found, (place, _, rest) = client("postgres.sh", uri), reaches.partition("|")
    assert found.uri == NAME.format(place) + rest
    assert found.environment.get("PGPASSWORD", "") == password


@pytest.mark.parametrize("form", ["postgres://u:{}@h/d", "postgres://u@h/d?password={}", "user=u password='{}'"])
def test_any_password_reaches_postgresql(client: Any, form: str) -> None:
    hard = HARD.replace("\\", "\\\\").replace("'", "\\'") if "'" in form else quote(HARD, safe="")
    found = client("postgres.sh", form.format(hard))
    assert found.environment["PGPASSWORD"] == HARD


def test_a_password_of_the_pod_is_used_without_one_in_the_uri(client: Any) -> None:
    assert client("postgres.sh", "postgres://u@h/d", PGPASSWORD="x y").environment["PGPASSWORD"] == "x y"
    assert client("postgres.sh", "postgres://u:p@h/d", PGPASSWORD="x y").environment["PGPASSWORD"] == "p"


@pytest.mark.parametrize("uri", ["postgres://u@h/d?sslkey=k&sslpassword=a%20b", "user=u host=h sslpassword='a b'"])
def test_the_password_of_a_client_key_is_in_a_file(client: Any, uri: str) -> None:
    found = client("postgres.sh", uri)
    file = Path(found.environment["PGSERVICEFILE"])
    assert (file.read_text(), stat.filemode(file.stat().st_mode)) == ("[check]\nsslpassword=a b\n", "-rw-------")
    assert found.uri.endswith("&service=check")


@pytest.mark.parametrize(
    "uri",
    [
        "postgres://u:a/b@h/d",
        "postgres://u:a?b@h/d",
        "postgres://u:a#b@h/d",
        "postgres://u:1/b@h/d",
        "postgres://u:1?b@h/d",
        "postgres://u:%zz@h/d",
        "postgres://u:a%4@h/d",
        "postgres://u:a%00@h/d",
        "postgres://u@h/d?a%zz=b",
        "POSTGRES://u:a@h/d?b=c",
        "u:a@h/d",
        "password",
        "password='a' b",
    ],
)
def test_uris_that_the_driver_does_not_take_stay_in_the_pod(client: Any, uri: str) -> None:
    found = client("postgres.sh", uri)
    assert (found.facts, found.arguments) == ([{"fact": "error", "kind": "uri"}, {"fact": "done"}], [])


SECRET = "S3CR3T"
RUNS = ("$(touch {})", "`touch {}`", "';touch {};'", '";touch {};"', "${IFS}touch${IFS}{}", "\\041`touch {}`")
"""Text that makes a shell create a file, if it takes the text for a command."""
ODD = "* % & # @ / : ? = + ' \" \\ %zz %00 %2 %s%n *[a-z]?~ ${PATH} --help ()[] <>|!;{a,b}"
MORE = ("\t\n\r ", "é\x1b[2J", "a" * 5000)
FORMS = {
    "postgres.sh": [
        "postgres://u:S3CR3T{0}@h/d?a=1",
        "postgres://u:{0}S3CR3T@h{0}/d?{0}={0}&sslmode={0}&options={0}&pool_x={0}",
        "postgres://h/d?user=u&password=S3CR3T{0}",
        "postgres://h/d?sslpassword={0}S3CR3T",
        "host=h password=S3CR3T{0}",
        "password='{0}S3CR3T' host={0}",
    ],
    "mysql.sh": [
        "u:S3CR3T{0}@tcp(h:1)/d?tls=false",
        "u{0}:S3CR3T@tcp(h{0}:1{0})/d{0}?tls={0}",
        "u:S3CR3T@tcp(h:1)/{0}%{0}?{0}",
        "u:S3CR3T{0}@tcp(h:1)",
    ],
}


@pytest.mark.parametrize("name", FORMS)
def test_hostile_uris(client: Any, name: str, tmp_path: Path) -> None:
    """Nothing in them runs. The password reaches neither the log of the pod nor the arguments of the client."""
    touched = tmp_path / "touched"
    parts = [*(each.replace("{}", str(touched)) for each in RUNS), *ODD.split(), *MORE]
    uris = [form.replace("{0}", part) for form in FORMS[name] for part in parts]
    # Each shell takes its share: it is some hundred processes.
    for uri in uris[client.number :: len(SHELLS)]:
        found = client(name, uri)
        assert not touched.exists(), uri
        assert SECRET not in found.output, uri
        assert not [each for each in found.arguments if SECRET in each], uri


@pytest.mark.parametrize(
    ("message", "kind"),
    [
        ('FATAL:  password authentication failed for user "u"', "password"),
        ('invalid integer value "SECRET" for connection option "port"', "unknown"),
        ('could not translate host name "SECRET" to address', "dns"),
        ('FATAL:  database "SECRET@h/d" does not exist', "no-database"),
        ("FATAL:  sorry, too many clients already", "full"),
        ('root certificate file "/root/.postgresql/root.crt" does not exist', "no-ca"),
    ],
)
def test_errors_of_psql_stay_in_the_pod(client: Any, message: str, kind: str) -> None:
    found = client("postgres.sh", "postgres://u:SECRET@h/d", f"echo '{message}' >&2; exit 2")
    assert found.facts == [{"fact": "error", "kind": kind}, {"fact": "done"}]


def test_errors_of_statements_are_not_errors_of_the_connection(client: Any) -> None:
    act = """echo '{"fact":"server"}'; echo 'ERROR:  too many clients' >&2"""
    found = client("postgres.sh", "postgres://u@h/d", act)
    assert found.facts == [{"fact": "server"}, {"fact": "done"}]


@pytest.mark.parametrize(
    ("uri", "host", "port", "user", "password", "database"),
    [
        ("u:p@tcp(h:3307)/d?parseTime=true", "h", "3307", "u", "p", "d"),
        ("u:p:/@)(x@tcp(h)/a%20b", "h", "3306", "u", "p:/@)(x", "a b"),
        ("u@tcp([::1]:3308)/d", "::1", "3308", "u", "", "d"),
        ("u:$DATASTORE_PASSWORD@tcp(h:3306)/d", "h", "3306", "u", "from $a variable", "d"),
        (
            "$DATASTORE_USER:$DATASTORE_PASSWORD@tcp($DATASTORE_HOST:$DATASTORE_PORT)/$DATASTORE_DATABASE?tls=false",
            *("db.example.com", "3310", "us$er@x", "from $a variable", "a b"),
        ),
    ],
)
def test_uris_of_mysql(client: Any, uri: str, host: str, port: str, user: str, password: str, database: str) -> None:
    parts = {"PASSWORD": "from $a variable", "USER": "us$er@x", "HOST": "db.example.com", "PORT": "3310"}
    variables = {f"DATASTORE_{name}": value for name, value in {**parts, "DATABASE": "a%20b"}.items()}
    found = client("mysql.sh", uri, **variables)
    assert found.facts == [{"fact": "done"}]
    for argument in (f"--host={host}", f"--port={port}", f"--user={user}", f"--database={database}", "--skip-ssl"):
        assert argument in found.arguments
    assert found.environment["MYSQL_PWD"] == password


@pytest.mark.parametrize("uri", ["u:p@tcp(h:3306)", "u:p/w@tcp(h:3306)", "u:p@tcp(h)/%zz", "u:p@tcp(h)/%00"])
def test_uris_that_the_driver_of_mysql_does_not_take_stay_in_the_pod(client: Any, uri: str) -> None:
    found = client("mysql.sh", uri)
    assert (found.facts, found.arguments) == ([{"fact": "error", "kind": "uri"}, {"fact": "done"}], [])


def test_tls_of_mysql(client: Any) -> None:
    found = client("mysql.sh", "u@tcp(h)/d?a=b&tls=true", SSL_CERT_DIR="/certificates")
    assert {"--ssl", "--ssl-verify-server-cert", "--ssl-ca=/certificates/ca.crt"} <= set(found.arguments)
    found = client("mysql.sh", "u@tcp(h)/d?tls=skip-verify", version="mysql Ver 8.4")
    assert "--ssl-mode=REQUIRED" in found.arguments


def test_hashes_of_passwords_stay_in_the_pod(client: Any) -> None:
    grant = r"GRANT USAGE ON *.* TO \`u\`@\`%\` IDENTIFIED BY PASSWORD '*HASH'"
    act = f"""printf '%s\\n' "{grant}" 'd\trelation_tuple\t1\t0'"""
    found = client("mysql.sh", "u@tcp(h)/d", act)
    assert [fact.get("text") for fact in found.facts] == ["GRANT USAGE ON *.* TO `u`@`%`", "d relation_tuple 1 0", None]


@pytest.mark.parametrize(
    ("message", "kind"),
    [
        ("ERROR 1045 (28000): Access denied for user", "password-or-tls"),
        ("ERROR 2005 (HY000): Unknown server host", "dns"),
        ("ERROR 1049 (42000): Unknown database", "no-database"),
        ("ERROR 2002 (HY000): Can't connect to server on 'h' (111)", "refused"),
        ("ERROR 2002 (HY000): Can't connect to server on 'h' (115)", "timeout"),
    ],
)
def test_errors_of_mysql(client: Any, message: str, kind: str) -> None:
    found = client("mysql.sh", "u@tcp(h)/d", f'echo "{message}" >&2; exit 1')
    assert found.facts == [{"fact": "error", "kind": kind}, {"fact": "done"}]


def test_a_dollar_in_a_uri(client: Any) -> None:
    assert client("postgres.sh", "postgres://u:a$b@h/d").facts[0] == {"fact": "dollar"}
    assert client("mysql.sh", "u:a$b@tcp(h)/d").facts[0] == {"fact": "dollar"}
