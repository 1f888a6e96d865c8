"""The rehearsal of an upgrade: all of its steps, on a copy of the live data.

It needs the extra ``data``: ``pip install 'cdk8s-spicedb[live,data]'``.
"""

from .rehearse import RehearsalOptions, rehearse
from .result import Rehearsal, RehearsedStep, Way

__all__ = ["Rehearsal", "RehearsalOptions", "RehearsedStep", "Way", "rehearse"]
