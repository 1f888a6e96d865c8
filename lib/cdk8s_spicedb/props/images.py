"""References of images."""

from __future__ import annotations


def image_parts(image: str) -> tuple[str, str | None, str | None]:
    """Repository, tag and digest of an image reference."""
    name, _, digest = image.partition("@")
    tag = name.rpartition("/")[2].partition(":")[2]
    return (name.removesuffix(f":{tag}") if tag else name), tag or None, digest or None


def image_at(image: str, version: str, other: str) -> str | None:
    """The same image at another version. None if its tag does not begin with the version."""
    repository, tag, digest = image_parts(image)
    if digest or not (tag is None or tag == version or tag.startswith(f"{version}-")):
        return None
    return image if tag is None else f"{repository}:{other}{tag.removeprefix(version)}"
