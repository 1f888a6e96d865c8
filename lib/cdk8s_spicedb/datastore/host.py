"""Hosts, as databases are found by."""

from __future__ import annotations

import ipaddress
import re


def is_host(value: object) -> bool:
    """Whether it is a DNS name or an IP address."""
    if not isinstance(value, str):
        return False
    try:
        return ipaddress.ip_address(value) is not None and "%" not in value
    except ValueError:
        return len(value) <= 253 and re.fullmatch(r"[A-Za-z0-9_]([-.\w]*[A-Za-z0-9_])?", value, re.ASCII) is not None
