"""Findings of the check as text."""

from __future__ import annotations

from collections.abc import Sequence

from cdk8s_spicedb.live.check.finding import Finding, Level


def texts(findings: Sequence[Finding], level: Level | None = None) -> list[str]:
    """Findings as text, those of one level or all."""
    return [f"{each.subject}: {each.text}" for each in findings if level in (None, each.level)]
