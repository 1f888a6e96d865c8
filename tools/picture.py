"""Draws the progress of a real upgrade as a picture: ``python tools/picture.py FILE NAMESPACE OUTPUT.svg``

The picture shows the moment at which the second of the new servers starts in the last step.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

from rich.console import Console

from cdk8s_spicedb.cli.display import Display
from cdk8s_spicedb.files.read import read_props
from cdk8s_spicedb.live import Cluster, Progress, UpgradeOptions, upgrade

_WIDTH = 110


def main(file: str, namespace: str, output: str) -> None:
    """Runs the upgrade of a file, and draws it."""
    props = read_props(Path(file).read_text(), file)
    display = Display(to=Console(record=True, width=_WIDTH, quiet=True))

    def report(progress: Progress) -> None:
        display.report(progress)
        if progress.step == progress.steps and "1 of 2 new servers" in progress.text:
            _draw(display, output)

    upgrade(Cluster.connect(namespace=namespace), props, options=UpgradeOptions(observe_seconds=10), report=report)


def _draw(display: Display, output: str) -> None:
    with open("/dev/null", "w") as nowhere:
        console = Console(record=True, width=_WIDTH, force_terminal=True, file=nowhere)
        console.print(display.render())
        picture = console.export_svg(title="cdk8s-spicedb upgrade")
    # Fonts from another server would be loaded by everybody who looks at the picture.
    Path(output).write_text(re.sub(r"@font-face \{.*?\}\s*", "", picture, flags=re.DOTALL))


if __name__ == "__main__":
    main(*sys.argv[1:])
