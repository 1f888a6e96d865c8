"""What a SpiceDB holds, its schema and its relationships: copied to a file and back, and asked the same questions.

These functions need the extra ``data``: ``pip install 'cdk8s-spicedb[live,data]'``.
"""

from .backup import Backup, EmptyError, back_up, copy
from .change import SchemaChange, change
from .compare import Comparison, Difference, compare
from .file import Head, NotABackupError, Scratch, reading
from .lookups import Lookup, different_lookups, look_up
from .part import write_sample
from .questions import Question, looked_up, questions, sample
from .reach import reaching
from .restore import DifferentError, NotEmptyError, restore, verify
from .server import RequestError, Server, Trust
from .summary import Summary
from .trial import judge_schema

__all__ = [
    "Backup",
    "Comparison",
    "Difference",
    "DifferentError",
    "EmptyError",
    "Head",
    "Lookup",
    "NotABackupError",
    "NotEmptyError",
    "Question",
    "RequestError",
    "SchemaChange",
    "Scratch",
    "Server",
    "Summary",
    "Trust",
    "back_up",
    "change",
    "compare",
    "copy",
    "different_lookups",
    "judge_schema",
    "look_up",
    "looked_up",
    "questions",
    "reaching",
    "reading",
    "restore",
    "sample",
    "verify",
    "write_sample",
]
