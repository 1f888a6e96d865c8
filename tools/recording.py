"""Records commands on a terminal, and draws what they print as an animated picture."""

from __future__ import annotations

import codecs
import os
import pty
import re
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from html import escape
from itertools import groupby

import pyte
from attrs import frozen

COLUMNS, LINES = 112, 34
_PROMPT = "$ "
_LONGEST_PAUSE_SECONDS = 1.2
"""Longer waits are cut, so that the picture shows minutes in seconds. Only numbers and a spinner change in a wait."""
_READ_SECONDS = 2.5
"""How long the picture stays as it is when a command has ended."""
_SMALLEST_STEP_SECONDS = 0.3
_FONT_SIZE, _WIDTH, _HEIGHT = 14, 8.43, 19
_COLORS = {"green": "#3fb950", "red": "#ff7b72", "brown": "#d29922", "cyan": "#39c5cf", "default": "#e6edf3"}

Line = tuple[tuple[str, str, bool], ...]
"""The runs of a line: the text, its color, and whether it is bold."""


@frozen
class Frame:
    """What the terminal shows, and for how long."""

    lines: tuple[Line, ...]
    seconds: float

    @property
    def text(self) -> str:
        """The lines without their colors."""
        return "\n".join("".join(text for text, _, _ in line).rstrip() for line in self.lines).rstrip()


class Terminal:
    """A terminal, and what it has shown."""

    def __init__(self, seen: Callable[[str], str] = str) -> None:
        """``seen`` changes what is shown, such as the name of a namespace."""
        self._screen = pyte.Screen(COLUMNS, LINES)
        self._screen.set_mode(pyte.modes.LNM)
        self._stream, self._seen = pyte.Stream(self._screen), seen
        self.frames: list[Frame] = []
        self._wait, self._waited = "", 0.0
        self.printed = ""
        """All output, with escape sequences."""

    def run(self, command: Sequence[str], *, shown: str, types: Mapping[str, str]) -> int:
        """Runs a command, which the picture calls ``shown``, and returns its exit code.

        ``types`` says what somebody types when the output ends with a text.
        """
        self._stream.feed(_PROMPT)
        for letter in f"{shown}\n":
            self._stream.feed(letter)
            self._take(0.03 if letter != "\n" else 0.5)
        ours, theirs = pty.openpty()
        process = subprocess.Popen(
            command, stdin=theirs, stdout=theirs, stderr=theirs, env=_environment(), start_new_session=True
        )
        os.close(theirs)
        try:
            for text, seconds in _output(ours):
                self._take(min(seconds, _LONGEST_PAUSE_SECONDS))
                self._stream.feed(self._seen(text))
                self.printed += text
                for ending, answer in types.items():
                    if self.printed.endswith(ending):
                        self._take(_READ_SECONDS)
                        os.write(ours, answer.encode())
        finally:
            os.close(ours)
        self._take(_READ_SECONDS)
        return process.wait()

    def _take(self, seconds: float) -> None:
        """Adds what the terminal shows. What it shows for too short a time is left out."""
        frame = Frame(tuple(self._lines()), seconds)
        wait = _waiting(frame.text)
        self._waited = self._waited + seconds if wait == self._wait else 0.0
        self._wait = wait
        if self._waited > _LONGEST_PAUSE_SECONDS:
            self.frames[-1] = Frame(frame.lines, self.frames[-1].seconds)
            return
        if self.frames and (self.frames[-1].lines == frame.lines or self.frames[-1].seconds < _SMALLEST_STEP_SECONDS):
            frame = Frame(frame.lines, self.frames.pop().seconds + seconds)
        self.frames.append(frame)

    def _lines(self) -> Iterator[Line]:
        for number in range(LINES):
            cells = [self._screen.buffer[number][column] for column in range(COLUMNS)]
            runs = groupby(cells, key=lambda cell: (cell.fg, cell.bold))
            yield tuple(("".join(cell.data for cell in run), color, bold) for (color, bold), run in runs)


def _waiting(text: str) -> str:
    """What a terminal shows, without what changes while a command waits."""
    return re.sub(r"[0-9\u2800-\u28ff]+", "", text)


def _environment() -> dict[str, str]:
    return {**os.environ, "TERM": "xterm-256color", "COLUMNS": str(COLUMNS), "LINES": str(LINES)}


def _output(terminal: int) -> Iterator[tuple[str, float]]:
    """What a program writes to a terminal, with the time since what it wrote before."""
    last, decoder = time.monotonic(), codecs.getincrementaldecoder("utf-8")("ignore")
    while True:
        try:
            read = os.read(terminal, 65536)
        except OSError:  # The program has ended.
            return
        if not read:
            return
        now = time.monotonic()
        yield decoder.decode(read), now - last
        last = now


def draw(frames: Sequence[Frame], title: str) -> str:
    """An SVG that shows the frames one after the other, again and again. Without motion, it shows the last one."""
    total = sum(frame.seconds for frame in frames)
    width, height = COLUMNS * _WIDTH + 24, LINES * _HEIGHT + 56
    distinct = list(dict.fromkeys(line for frame in frames for line in frame.lines if _is_visible(line)))
    names = {line: f"l{number}" for number, line in enumerate(distinct)}
    rules, groups, start = [], [], 0.0
    for number, frame in enumerate(frames):
        begin, start = 100 * start / total, start + frame.seconds
        end = 100 * start / total
        rules.append(_rule(number, begin, end, last=frame is frames[-1]))
        uses = "".join(
            f'<use href="#{names[line]}" y="{row * _HEIGHT}"/>' for row, line in enumerate(frame.lines) if line in names
        )
        last = " last" if frame is frames[-1] else ""
        groups.append(f'<g class="f{last}" style="animation-name:k{number}">{uses}</g>')
    lines = "\n".join(f'<text id="{names[line]}" xml:space="preserve">{_spans(line)}</text>' for line in distinct)
    shown = "\n".join(groups)
    return f"""<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0f} {height:.0f}" role="img">
<title>{escape(title)}</title>
<style>
text {{ font: {_FONT_SIZE}px ui-monospace, SFMono-Regular, Menlo, Consolas, "DejaVu Sans Mono", monospace; }}
.f {{ visibility: hidden; animation-duration: {total:.1f}s; animation-iteration-count: infinite;
  animation-timing-function: step-end; }}
@media (prefers-reduced-motion: reduce) {{ .f {{ animation: none; }} .last {{ visibility: visible; }} }}
{"".join(rules)}
</style>
<defs>
{lines}
</defs>
<rect width="100%" height="100%" rx="8" fill="#0d1117"/>
<g fill="#30363d"><circle cx="20" cy="18" r="6"/><circle cx="40" cy="18" r="6"/><circle cx="60" cy="18" r="6"/></g>
<g transform="translate(12 52)">
{shown}
</g>
</svg>
"""


def _rule(number: int, begin: float, end: float, *, last: bool) -> str:
    steps = "" if begin == 0 else "0%{visibility:hidden}"
    steps += f"{begin:.3f}%{{visibility:visible}}"
    steps += "" if last else f"{end:.3f}%{{visibility:hidden}}"
    return f"@keyframes k{number}{{{steps}}}\n"


def _is_visible(line: Line) -> bool:
    return any(text.strip() for text, _, _ in line)


def _spans(line: Line) -> str:
    """The runs of a line, each at its column, so that the width of a font does not matter."""
    spans, column = [], 0
    for text, color, bold in line:
        if text.strip():
            lead = len(text) - len(text.lstrip())
            weight = ' font-weight="bold"' if bold else ""
            words = text.strip()
            spans.append(
                f'<tspan x="{(column + lead) * _WIDTH:.1f}" textLength="{len(words) * _WIDTH:.1f}" '
                f'fill="{_COLORS.get(color, _COLORS["default"])}"{weight}>{escape(words)}</tspan>'
            )
        column += len(text)
    return "".join(spans)
