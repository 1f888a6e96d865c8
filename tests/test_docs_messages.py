"""The messages and outputs that the documentation quotes are those of the code."""

from __future__ import annotations

import ast
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest

from cdk8s_spicedb.cli import main
from cdk8s_spicedb.plans.words import WAY_BACK
from tests.pages import BY_HAND, PAGES, blocks
from tests.programs import ROOT

_DOCS = ROOT / "docs"
_STOPS = _DOCS / "operate" / "troubleshoot.md"
_OF_OTHERS = {
    "Helm": {
        "pre-upgrade hooks failed",
        "timed out",
        "another operation (install/upgrade/rollback) is in progress",
    },
    "Argo CD and Flux": {
        "one or more synchronization tasks completed unsuccessfully",
        "failed early due to stalled resources",
    },
    "gRPC": {
        "UNAVAILABLE",
        "DEADLINE_EXCEEDED",
        "too_many_pings",
    },
    "Kubernetes": {
        "DeadlineExceeded",
        "Job has reached the specified backoff limit",
        "Job was active longer than specified deadline",
        "Insufficient cpu",
        "field is immutable",
        'secret "…" not found',
        "couldn't find key … in Secret",
        "successfully rolled out",
    },
    "SpiceDB": {
        "wildcard relations cannot be transitively included",
        "no schema has been defined",
        "failed to connect",
        "unable to find migration for revision:",
        "attempting to run out of order",
        "migration attempting to run out of order",
        "unknown flag: --phase",
        "unable to instantiate datastore",
        "writing version update affected 0 rows, should be 1",
        "server already at requested revision",
        "datastore is not migrated: …",
        "invalid preshared key",
    },
    "Go": {
        "no such host",
        "connection refused",
        "certificate signed by unknown authority",
        'invalid port "…"',
    },
    "the database": {
        "password authentication failed",
        "already exists",
        "deadlock detected",
        "lock timeout",
        'relation "…" already exists',
        'relation "alembic_version" does not exist',
        "Duplicate column name '…'",
        "Table '…' already exists",
        'column "deleted_transaction" of relation "relation_tuple" does not exist',
        "pg_type_typname_nsp_index",
        "sorry, too many clients already",
    },
}
"""Messages of other programs that the documentation quotes."""
_THEIRS = frozenset().union(*_OF_OTHERS.values())

_COMMAND = re.compile(
    r"(helm|kubectl|kind|kustomize|cdk8s|cdk8s-spicedb|spicedb|zed|make|pipx?|uv|python|argocd|flux|git|npx|crane|cockroach"
    r"|init|synth|plan|releases|learn|status|check|diff|upgrade|rollback|repair|import|[\w./]*(?:python|\.py))\b",
)
_CODE = re.compile(r'[\w."]+:( |$)|[\w.]+ ?\(|[A-Z]{2,} |.*[={}\[]|-')
"""A setting in YAML, a call, an SQL statement, an argument, and other code."""


def _inline(page: Path) -> Iterator[str]:
    """The inline code of a page that has several words."""
    text = re.sub(r"^( *)```.*?^\1```", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)
    for code in re.findall(r"`([^`]+)`", text):
        code = " ".join(code.split())
        if len(code.split()) > 1:
            yield code


def _quoted(page: Path) -> Iterator[str]:
    """The messages that a page quotes: inline code in its headings, and in the first column of tables of messages."""
    in_messages = False
    for line in page.read_text().splitlines():
        cells = line.strip("|").split(" | ")
        in_messages = line.startswith("|") and (in_messages or "essage" in cells[0])
        if in_messages or line.startswith("#"):
            yield from re.findall(r"`([^`]+)`", cells[0])


def _strings(code: str) -> Iterator[str]:
    """The strings of a module, without docstrings. A NUL stands for each expression in an f-string."""
    tree = ast.parse(code)
    skipped = {node.value for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            parts = [part.value if isinstance(part, ast.Constant) else "\0" for part in node.values]
            yield "".join(map(str, parts))
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and node not in skipped:
            yield node.value


def _of_package() -> frozenset[str]:
    return frozenset(text for module in (ROOT / "lib").rglob("*.py") for text in _strings(module.read_text()))


@pytest.fixture(scope="module")
def texts() -> frozenset[str]:
    """The strings of the package."""
    return _of_package()


def _says(text: str, message: str) -> bool:
    """Whether a text contains a message. The `…` of the message stands for anything."""
    parts = (re.escape(part.strip()) for part in message.split("…") if part.strip(" :"))
    return re.search(rf"(?<!\w){'.*'.join(parts)}(?!\w)", text, re.DOTALL) is not None


def _words(text: str) -> list[str]:
    return re.findall(r"[A-Za-z]{2,}", text)


def _pattern(text: str) -> re.Pattern[str]:
    """Finds a string of the package in an output. Its groups are what stands between its expressions."""
    parts = [f"({re.escape(part.strip())})" for part in text.split("\0") if part.strip()]
    start, end = r"(?<!\w)" if text[0].isalnum() else "", r"(?!\w)" if text[-1].isalnum() else ""
    return re.compile(f"{start}{'.{1,80}?'.join(parts)}{end}")


def _patterns(texts: frozenset[str]) -> list[re.Pattern[str]]:
    """The patterns of all strings that are more than a word."""
    found = {" ".join(text.split()).strip("\0 ") for text in texts}
    return [_pattern(text) for text in found if len(_words(text)) > 1 and len("".join(_words(text))) > 7]


def _unknown(output: str, patterns: list[re.Pattern[str]]) -> list[str]:
    """What an output says in three or more words that no string of the package has, without what it quotes."""
    rest = " ".join(line.strip() for line in output.splitlines() if not re.match(r"\s*(\$|cdk8s-spicedb)", line))
    rest = " ".join(re.sub(r'…".*?"…|…|\S+/\S+', " | ", rest).split())
    covered = bytearray(len(rest))
    for pattern in patterns:
        for found in pattern.finditer(rest):
            for group in range(1, pattern.groups + 1):
                start, end = found.span(group)
                covered[start:end] = b"\1" * (end - start)
    left = "".join(" | " if known else letter for letter, known in zip(rest, covered, strict=True))
    return [run for run in re.findall(r"[a-z]+(?: [a-z]+){2,}", left) if len(_words(run)) > 2]


@pytest.mark.parametrize("name", ["operate/commands.md", "operate/restore.md", "upgrade/rehearse.md"])
def test_quoted_outputs_are_current(name: str, texts: frozenset[str]) -> None:
    """Of the text blocks. tests/cluster/docs/ runs the commands in console blocks."""
    found, patterns = blocks("text", _DOCS / name), _patterns(texts)
    assert found
    assert [unknown for block in found for unknown in _unknown(block, patterns)] == []


def test_the_quoted_failure_of_the_tutorial_is_current(texts: frozenset[str]) -> None:
    (block,) = (block for block in blocks("console", _DOCS / "get-started" / "first.md") if "failure" in block)
    _, _, failure, end = block.splitlines()
    level, subject, message = failure.split("  ")
    assert {level, subject} <= texts
    assert all(any(_says(text, each) for text in texts) for each in (message, end))


def test_an_old_output_is_found(texts: frozenset[str]) -> None:
    patterns = _patterns(texts)
    assert _unknown("authz/acme: prepare: the check found no failure\n", patterns) == ["the check found no failure"]
    assert _unknown("Already at the target: 3 SpiceDBs: authz/acme.\n", patterns) == []


def test_the_plan_of_the_tutorial_is_current(capsys: pytest.CaptureFixture[str]) -> None:
    page = _DOCS / "get-started" / "first.md"
    (command,) = re.findall(r"^    cdk8s-spicedb (plan .*)$", page.read_text(), re.MULTILINE)
    assert main(shlex.split(command)) == 0
    assert capsys.readouterr().out in blocks("text", page)


def test_the_quoted_line_of_a_plan_is_current(capsys: pytest.CaptureFixture[str]) -> None:
    page = _DOCS / "upgrade" / "plan.md"
    (line,) = blocks("console", page)
    (command,) = re.findall(r"^    cdk8s-spicedb (plan --engine mysql .*)$", page.read_text(), re.MULTILINE)
    assert main(shlex.split(command)) == 0
    assert " ".join(line.split()) in " ".join(capsys.readouterr().out.split())


def test_each_way_back_of_a_plan_is_explained() -> None:
    text = (_DOCS / "upgrade" / "rollback.md").read_text()
    assert [word for word in WAY_BACK.values() if f"\n| `{word}` | " not in text] == []


@pytest.mark.parametrize("page", BY_HAND, ids=lambda page: page.name)
def test_quoted_messages_are_current(page: Path, texts: frozenset[str]) -> None:
    quoted = {each for each in (*_inline(page), *_quoted(page)) if not _COMMAND.match(each) and not _CODE.match(each)}
    assert [each for each in sorted(quoted - _THEIRS) if not any(_says(text, each) for text in texts)] == []


def test_messages_of_others_are_quoted() -> None:
    quoted = {message for page in PAGES for message in (*_inline(page), *_quoted(page))}
    assert quoted >= _THEIRS


def test_messages_about_stops_are_found() -> None:
    assert len(set(_quoted(_STOPS))) > 15


@pytest.mark.parametrize(
    ("message", "found"),
    [
        ("the pod … is gone", True),
        ("… is gone", True),
        ("the pod … went", False),
        ("the pod web is gone", False),
        ("only a docstring", False),
    ],
)
def test_messages_are_found_in_code(message: str, found: bool) -> None:
    code = 'def f(pod):\n    """only a docstring"""\n    return f"the pod {pod} is " "gone for {pod}"\n'
    assert any(_says(text, message) for text in _strings(code)) is found
