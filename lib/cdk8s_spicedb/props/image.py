"""Image references."""

from __future__ import annotations

from ..checks import Metadata, text

_TAG, _DIGEST = r":[A-Za-z0-9_][-.A-Za-z0-9_]{0,127}", r"@sha256:[0-9a-f]{64}"
_REPOSITORY = r"[a-z0-9]([-._a-z0-9]*[a-z0-9])?(:\d+)?(/[a-z0-9]+([-._]+[a-z0-9]+)*)*"


def image_check(*, complete: bool) -> Metadata:
    """An image reference; a complete one has a tag or a digest, so that it means the same tomorrow."""
    suffix = f"({_TAG})?({_DIGEST})|{_TAG}" if complete else f"({_TAG})?({_DIGEST})?"
    return text(
        f"{_REPOSITORY}({suffix})",
        "an image reference" + (" with a tag or a digest" if complete else ", with or without tag and digest"),
        "write it as 'registry.example.com/team/image:tag' or '…@sha256:' and 64 hexadecimal digits",
        most=500,
    )


def image_tag(image: str) -> str | None:
    """The tag of an image reference."""
    name = image.partition("@")[0].rpartition("/")[2]
    return name.partition(":")[2] or None


def has_digest(image: str) -> bool:
    return "@" in image


def image_at(image: str, version: str, other: str) -> str | None:
    """The same image at another version; None where it does not follow versions."""
    tag = image_tag(image)
    if has_digest(image) or not (tag is None or tag == version or tag.startswith(f"{version}-")):
        return None
    return image if tag is None else f"{image.removesuffix(tag)}{other}{tag.removeprefix(version)}"


def image_parts(image: str) -> tuple[str, str | None, str | None]:
    """An image reference's repository, tag and digest."""
    name, _, digest = image.partition("@")
    tag = image_tag(image)
    return (name.removesuffix(f":{tag}") if tag else name), tag, digest or None
