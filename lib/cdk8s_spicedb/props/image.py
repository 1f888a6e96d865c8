"""Parts of image references."""

from __future__ import annotations


def image_tag(image: str) -> str | None:
    """The tag of an image reference."""
    name = image.partition("@")[0].rpartition("/")[2]
    return name.partition(":")[2] or None


def has_digest(image: str) -> bool:
    """Whether an image reference has a digest."""
    return "@" in image


def image_at(image: str, version: str, other: str) -> str | None:
    """The same image at another version. None if its tag does not begin with the version."""
    tag = image_tag(image)
    if has_digest(image) or not (tag is None or tag == version or tag.startswith(f"{version}-")):
        return None
    return image if tag is None else f"{image.removesuffix(tag)}{other}{tag.removeprefix(version)}"


def image_parts(image: str) -> tuple[str, str | None, str | None]:
    """Repository, tag and digest of an image reference."""
    name, _, digest = image.partition("@")
    tag = image_tag(image)
    return (name.removesuffix(f":{tag}") if tag else name), tag, digest or None
