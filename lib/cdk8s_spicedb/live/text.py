"""Text that comes from a cluster, as people may see it: without secrets, and of a log only the words.

Whoever writes a log or an event chooses its text. So lines are cut before anything else looks at them, and each search
is bounded: a quantifier has a limit, or is the last part of its pattern.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from functools import cache
from typing import Any

from ..props import MigrationProps, ServerProps, SpiceDBProps
from ..props.datastores import ENGINES
from ..props.flags import DATASTORE_URI, ENGINE, PRESHARED_KEY, REPLICA_URI, flags_of, variable_name

HIDDEN = "(hidden)"
_LONGEST_LINE, _LONGEST_WORD = 4096, 1024


def redacted(text: str) -> str:
    """A text without passwords, keys and tokens in their usual forms. Lines of more than 4 kB are cut."""
    text = "\n".join(_redacted(cut(line)) for line in _without_pem(text).split("\n"))
    return _YAML_VARIABLE.sub(_KEPT, text) if "value:" in text else text


def cut(line: str) -> str:
    """A line, or the first 4 kB of it, up to the end of a word if one ends near there."""
    if len(line) <= _LONGEST_LINE:
        return line
    return f"{line[: max(line.rfind(' ', 0, _LONGEST_LINE), _LONGEST_LINE - _LONGEST_WORD)]} ..."


def _redacted(line: str) -> str:
    line = re.sub(r"\S+", _without_user, _without_user_of_dsn("".join(_without_user_info(line))))
    line = _KNOWN_KEY.sub(HIDDEN, line)
    for pattern in (_BEARER, _BASIC, _SQL, _QUOTED):
        line = pattern.sub(_KEPT, line)
    return _CANNOT_PARSE.sub(_only_pairs, "".join(_without_values(line)))


_KEPT = rf"\g<1>{HIDDEN}"
_KNOWN_KEY = re.compile(
    r"\beyJ[\w-]{8,2048}\.[\w.-]+|\b(?:AKIA|ASIA)[A-Z0-9]{16}|\bgh[a-z]_\w{20,}|"
    r"(?<!\S)(?=\S*[a-z])(?=\S*[A-Z])(?=\S*\d)[A-Za-z0-9+/]{32,}={0,2}(?!\S)"
)
"""JSON Web Tokens, keys of AWS and GitHub, and a line of a key in PEM format: a log can have each line by itself."""
_PROSE = (
    r"(?:a|and|as|at|authenticat\w*|authoriz\w*|be|by|can\w*|cred\w*|does|expired|file|flags?|for|from|has|if|in|invalid|"
    r"is|may|must|needs?|not|of|on|or|required|scheme|should|strings?|stringArray|than|that|the|to|tokens?|value|"
    r"was|when|which|will|with)\b(?![-+/=])"
)
"""Words that follow the name of a flag, or "bearer", in a sentence."""
_BEARER = re.compile(
    r"(?i)(\b(?:bearer|authorization\W{1,6}(?:apikey|digest|negotiate|token))\s{1,3})"
    rf"(?!{_PROSE}|realm=|\(hidden\))[\w.~+/=:-]+"
)
_BASIC = re.compile(r"(\b[Bb]asic\s{1,3})(?=[\w+/]{0,200}(?:\d|=|[a-z][A-Z]))[\w.~+/=:-]+")
_SQL = re.compile(
    r"(?i)(\b(?:password|identified(?: with \w{1,40})? by)\s{1,3})(?:'(?:[^'\\]|\\.|'')*'?|\"(?:[^\"\\]|\\.)*\"?)"
)
_QUOTED = re.compile(r'(invalid (?:port|URL escape) \\{0,3}")(?:[^"\\]|\\.)*')
"""What Go quotes of a URI that it cannot parse: after an unencoded character, a password is taken for the port."""
_CANNOT_PARSE = re.compile(r"(cannot parse `)([^`]*)")


def _without_pem(text: str) -> str:
    first, *blocks = text.split("-----BEGIN ")
    return first + "".join(f"-----BEGIN {_pem(block)}" for block in blocks)


def _pem(block: str) -> str:
    kind, _, content = block.partition("-----")
    _, end, rest = content.partition("-----END")
    return f"{kind}-----{HIDDEN}{end}{rest}" if end else re.sub(r"[A-Za-z0-9+/=]{16,}", HIDDEN, block)


def _only_pairs(match: re.Match[str]) -> str:
    """The pairs of key and value in what PostgreSQL's driver cannot parse. A word without a key can be a password."""
    uri = "://" in match[2]
    return match[1] + " ".join(word if uri or "=" in word else HIDDEN for word in match[2].split(" "))


# ---------------------------------------------------------------- users and passwords in URIs

_HOST = re.compile(r"(?:\[[\w:.%]{0,64}\]|[^\s:@\[\]]{0,255})(?::\d{0,5})?")
_QUERY = re.compile(r"\?[\w.-]{1,64}=")
_DSN = re.compile(r"(@(?:tcp[46]?|unix|\w{0,16}sql[\w-]{0,16})?\()")
"""What follows the password in the URI of MySQL's driver for Go. The password may contain any character."""
_USER = re.compile(r"(?P<before>(?:[\w.-]{1,64}=)?[\"'`(\[{<]{0,4})(?!e?-?mail)[^\s:@/=\"'`(\[{<,]{1,64}:")
_RELATIONSHIP = re.compile(r"[\w/]{1,128}:[\w/|=+*-]{1,256}#(?:\w{1,64}|\.{3})@[\w/]{1,128}:(?!\d{1,5}/)[\w*|]")


def _without_user_info(line: str) -> Iterator[str]:
    """The parts of a line, without user and password of URIs with a scheme."""
    before, *rest = re.split(r"(:\\?/\\?/)", line)
    yield before
    for separator, part in zip(rest[::2], rest[1::2], strict=True):
        quoted = re.search(r"[\"'`](?=[\w+.:-]*$)", before[-40:])
        yield separator + _without_authority_user(part, quoted[0] if quoted else "")
        before = part


def _without_authority_user(part: str, quote: str) -> str:
    """What follows ``://``, without user and password. ``quote`` is the quote in which the URI stands."""
    end = part.find(quote) if quote and quote in part else len(part.partition(" ")[0].partition("\t")[0])
    uri = part[:end]
    authority = re.split(r"[/?#]", uri, maxsplit=1)[0].rstrip(".,;:)}>\"'`\\")
    has_no_user = ":" not in authority or "@" not in uri.partition("?")[0].replace("@sha256:", "")
    if has_no_user and all(map(_HOST.fullmatch, authority.split(","))):
        return part
    query = uri.rfind("?")
    at = uri.rfind("@", 0, query) if query >= 0 and _QUERY.match(uri, query) else -1
    if at < 0:
        at = uri.rfind("@")
    if at < 0:  # The password may contain the quote or a blank.
        at = part.find("@", end, end + 256)
    if at >= 0:
        return HIDDEN + part[at:]
    user, colon, _ = uri.partition(":")
    return f"{user}:{HIDDEN}{part[end:]}" if colon else part


def _without_user_of_dsn(line: str) -> str:
    *parts, last = _DSN.split(line)
    return "".join(part if number % 2 else _without_last_word(part) for number, part in enumerate(parts)) + last


def _without_last_word(text: str) -> str:
    """A text without its last word, or what stands in its last quotes that are still open."""
    opened = max((text.rfind(quote) for quote in '"`' if text.count(quote) % 2), default=-1)
    start = 1 + (opened if opened >= 0 else max(text.rfind(" "), text.rfind("\t")))
    key = re.match(r"(?:[\w.-]{1,64}=)?[\"'`(\[{]{0,4}", text[start:])
    start += key.end() if key else 0
    return text[:start] + (HIDDEN if text[start:] else "")


def _without_user(match: re.Match[str]) -> str:
    """A word without what stands before its last @, if that looks like a user and a password."""
    word = match[0]
    at, user = word.rfind("@"), _USER.match(word)
    if user is None or at < user.end() or "//" in word or "@sha256:" in word:
        return word
    start = user.end("before")
    return word if _RELATIONSHIP.match(word, start) else word[:start] + HIDDEN + word[at:]


# ---------------------------------------------------------------- values of keys

_WORDS = ("pass", "pwd", "token", "secret", "credential", "auth", "key")
_KEY = (
    r"(?:pass(?:word|wd|phrase|code)|(?<!by|om|ur|er)pass(?=[\"'`\\\s]{0,4}[=:])|pwd|(?<!zed)(?<!zed_)token|secret|"
    r"(?<=[\"'])auth(?=\\{0,3}[\"'])|"
    r"credential|authorization|(?-i:_KEY)|(?:access|account|api|auth|encryption|license|master|preshared|private|shared|"
    r"signing|ssh)[-_]?key)[\w-]{0,24}"
    r"(?<!name|file|path|type|mode|size)(?<!ref|ttl|dir|len)(?<!count|limit)(?<!policy|length|expiry|method)"
)
_QUOTE = r"\\{0,3}[\"'`]"
_VALUE = r"\\{1,3}\"[^\"]*\"?|\"(?:[^\"\\]|\\.)*\"?|'(?:[^'\\]|\\.|'')*'?|`[^`]*`?|\S+"
_PAIR = re.compile(
    rf"(?i)(?P<key>{_KEY})(?P<separator>(?:{_QUOTE})?\s{{0,3}}(?::=|[=:]>?|%3D|,\s{{0,3}}(?:{_QUOTE})?value(?:{_QUOTE})?\s?[:=])"
    rf"\s{{0,3}}|(?<!-)>|(?:{_QUOTE})?,?\s{{1,3}}|{_QUOTE},(?={_QUOTE}))(?P<value>{_VALUE})"
)
_YAML_VARIABLE = re.compile(
    rf"(?i)({_KEY}[\"']?[ \t]{{0,8}}\n[ \t]{{0,80}}value:[ \t]{{0,3}})(?!\(hidden\)|\$\()[^\n]+"
)
_REFERENCE = re.compile(r"\(hidden\)|[\"']?(?:\$\([\w.-]{1,253}\)|\$\{[\w.-]{1,253}\}|\$[A-Z_]{2,64}\b)")
_PATH = re.compile(r"/[a-z][\w.-]*/[\w./-]*")
_IN_SCHEMA = re.compile(r"(?:permission|relation)\s+\w*$")
_IN_YAML = re.compile(r"(?:^|[{,])\s*(?:-\s+)?[\"']?[\w./-]*$")


def _without_values(line: str) -> Iterator[str]:
    """The parts of a line, without the values of keys that name a secret."""
    position, lower = 0, line.lower()
    has_key = any(word in lower for word in _WORDS)  # Most lines have none, and this is quick.
    while has_key and (match := _PAIR.search(line, position)):
        start, value = match.start("value"), match["value"]
        before, after = line[max(match.start() - 64, 0) : match.start()], line[match.end() :].strip()
        yield line[position:start]
        position = start
        if _is_secret(before, match["key"].lower(), match["separator"], value, after):
            # In a URI, other parameters follow.
            is_query = value[0] not in "\"'`\\" and re.search(r"[?&][\w.-]*$", before)
            position += len(value.partition("&")[0]) if is_query else len(value)
            yield HIDDEN
    yield line[position:]


def _is_secret(before: str, key: str, separator: str, value: str, after: str) -> bool:
    """Whether a value is that of a key, and not only the next word of a sentence."""
    if _REFERENCE.match(value) or _IN_SCHEMA.search(before) or (key.endswith("s") and value.rstrip(",;.)").isdigit()):
        return False
    if separator == ">" or "value" in separator.lower() or any(sign in separator for sign in ("=", "%")):
        return key.startswith(("pass", "secret")) or not _PATH.fullmatch(value)
    quoted = value[0] in "\"'`\\"
    if ":" not in separator:
        is_flag = re.search(r"--[\w-]*$", before) is not None
        return is_flag and not re.match(rf"[\"'`]?(?:-|{_PROSE})", value)
    if value[0] in "{[(&*":
        return False
    is_last = not after or after[0] in ",}#"
    if (quoted and separator != ": ") or (separator == ":" and key.startswith("pass")):
        return True
    looks_random = any(map(str.isdigit, value)) and any(map(str.isalpha, value)) and value[0] != "/"
    return looks_random or (is_last and _IN_YAML.search(before) is not None)


# ---------------------------------------------------------------- fields of objects

_REFERENCES = re.compile(r"(\$\([\w.-]+\)|,)*")
_SECRET_NAME = re.compile(r"pass|pwd|secret|token|key|credential|auth|uri|url|dsn")
_NO_SECRET = ("name", "file", "path", "ref")
_HARMLESS = {"GOGC", "GOMAXPROCS", "GOMEMLIMIT", "PGSSLMODE"}


def shown(path: str, value: Any) -> Any:
    """The value of a field of an object, as it may be shown. A value that only names variables is no secret."""
    if isinstance(value, dict):
        return {name: shown(f"{path}[{name}]", each) for name, each in value.items()}
    if isinstance(value, list):
        flags = [None, *value]
        return [
            HIDDEN if isinstance(each, str) and _names_secret(flag) else shown(f"{path}[{number}]", each)
            for number, (flag, each) in enumerate(zip(flags, value, strict=False))
        ]
    if not isinstance(value, str) or _REFERENCES.fullmatch(value):
        return value
    return HIDDEN if _holds_secret(path, value) else redacted(value)


def _holds_secret(path: str, value: str) -> bool:
    """Whether the value of a field may be a secret by its path: that of a variable, a flag or an annotation."""
    *_, outer, parent, name = ["", "", *(each.strip("[]") for each in re.findall(r"\[[^\]]*\]|[^.\[]+", path))]
    if name == "value" and outer in ("env", "httpHeaders"):
        return parent not in _harmless_variables()
    if name.startswith("--"):
        return _names_secret(name) and not _PATH.fullmatch(value)
    if parent in ("annotations", "data", "binaryData"):
        return _may_name_secret(name.rpartition("/")[2])
    return False


def _names_secret(flag: Any) -> bool:
    """Whether a word is a flag without its value, which may be a secret."""
    if not isinstance(flag, str) or not flag.startswith("--") or "=" in flag:
        return False
    return flag[2:] not in _harmless_flags() and _may_name_secret(flag)


def _may_name_secret(name: str) -> bool:
    letters = re.sub(r"[^a-z]", "", name.lower())
    return _SECRET_NAME.search(letters) is not None and not letters.endswith(_NO_SECRET)


@cache
def _harmless_flags() -> frozenset[str]:
    """The flags that this package sets, without those whose values are secrets."""
    kinds = (SpiceDBProps, ServerProps, MigrationProps, *ENGINES.values())
    names = {flag.name for kind in kinds for flags in flags_of(kind).values() for flag in flags}
    return frozenset((names | {ENGINE}) - {PRESHARED_KEY, DATASTORE_URI, REPLICA_URI})


@cache
def _harmless_variables() -> frozenset[str]:
    return frozenset(_HARMLESS | set(map(variable_name, _harmless_flags())))


# ---------------------------------------------------------------- logs

_SERIOUS = ("error", "fatal", "panic")


def in_words(line: str) -> str:
    """A line of a log without what only programs need: its message, and its error."""
    line = cut(line)
    fields = _fields(line) or {}
    parts = (fields.get("message"), fields.get("error"))
    return redacted(": ".join(str(part) for part in parts if part) or line.strip())


def last_error(text: str) -> str:
    """The last error in a log. Without one, the last line of plain text, or else the last line."""
    lines = _lines(text)
    for line in reversed(lines):
        fields = _fields(line)
        if fields is None or fields.get("level") in _SERIOUS:
            return in_words(line)
    return in_words(lines[-1]) if lines else ""


def first_error(text: str) -> str:
    """The first error in a log: after some, a long usage text follows. Empty if there is none in a long log."""
    lines = _lines(text)
    for number, line in enumerate(lines):
        fields = _fields(line)
        if line.startswith("Usage:") and number:
            return in_words(lines[number - 1])
        if line.startswith("Error") or (fields or {}).get("level") in _SERIOUS:
            return in_words(line)
    # In a short log, the last line is the reason.
    return in_words(lines[-1]) if 0 < len(lines) <= 3 else ""


def _lines(text: str) -> list[str]:
    return [cut(line) for line in text.splitlines() if line.strip()]


def _fields(line: str) -> dict[str, object] | None:
    """The fields of a line of JSON. None for another line."""
    try:
        found = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None
