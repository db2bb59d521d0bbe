"""The diagrams of the documentation, drawn from the code: ``python docs/diagrams.py`` writes them into docs/_static.

The state machine is ``TRANSITIONS`` of :mod:`ws4py.state`, the way of the data the drawing on top of
:mod:`ws4py.websocket`, the layers the table of ``test/test_layering.py``. Only where a box stands is decided here, in
a column that a telephone can show. A test compares the files with what would be written now.
"""

from __future__ import annotations

import re
import sys
import textwrap
from pathlib import Path
from xml.sax.saxutils import escape

DOCS = Path(__file__).resolve().parent
if __name__ == '__main__':  # else it is a test that has come here
    sys.path[:0] = [str(DOCS.parent), str(DOCS.parent / 'test')]

import test_layering  # noqa: E402

from ws4py import websocket  # noqa: E402
from ws4py.state import TRANSITIONS, Event, State  # noqa: E402

WIDTH = 420
HALF = 15  # of a box's height
LETTER = 7.3  # the width of one, of 12 pixels, in a font whose letters are all as wide
HEAD = """<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}"
     role="img" font-family="monospace" font-size="12" text-anchor="middle">
<title>{title}</title>
<style>
rect {{ fill: #eef4fa; stroke: #1b6ca8; }} .page {{ fill: #fff; stroke: none; }}
.quiet {{ fill: #f6f6f6; stroke: #9aa5b1; }}
path {{ fill: none; stroke: #1b6ca8; marker-end: url(#tip); }} .quiet path {{ stroke: #9aa5b1; stroke-dasharray: 4 3; }}
text {{ fill: #1c2833; }} .small {{ font-size: 11px; paint-order: stroke; stroke: #fff; stroke-width: 4px; }}
</style>
<defs><marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto-start-reverse">
<polygon points="0,0 8,4 0,8" fill="#1b6ca8"/></marker></defs>
<rect class="page" width="{width}" height="{height}" rx="6"/>
"""

#: The middle of each state. What has ended stands at the side, reached from all of them.
PLACES = {
    State.CONNECTING: (150, 36),
    State.OPEN: (150, 126),
    State.CLOSE_SENT: (78, 216),
    State.CLOSE_RECEIVED: (222, 256),
    State.CLOSE_EXCHANGED: (150, 346),
}
END = 375  # the middle of CLOSED


def drawing(title: str, height: float, parts: list[str]) -> str:
    return HEAD.format(title=escape(title), width=WIDTH, height=round(height)) + '\n'.join(parts) + '\n</svg>\n'


def panel(x: float, y: float, width: float, height: float, quiet: bool = False) -> str:
    kind = ' class="quiet"' if quiet else ''
    return f'<rect{kind} x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}" rx="5"/>'


def arrow(x: float, y: float, to_x: float, to_y: float) -> str:
    return f'<path d="M{x:.1f} {y:.1f} L{to_x:.1f} {to_y:.1f}"/>'


def note(x: float, y: float, text: str) -> str:
    return f'<text class="small" x="{x:.1f}" y="{y:.1f}">{escape(text)}</text>'


def states() -> str:
    """The state machine."""
    lines, boxes = [], []
    for (state, event), then in TRANSITIONS.items():
        if state is State.CLOSED:
            assert then is State.CLOSED  # nothing comes after it: no arrow
            continue
        x, y = PLACES[state]
        if event is Event.ENDED:
            start = x + (len(state.name) * LETTER + 14) / 2
            lines.append(f'<g class="quiet">{arrow(start, y, END - 33, y)}</g>')
            continue
        to_x, to_y = PLACES[then]
        lines.append(arrow(x, y + HALF, to_x, to_y - HALF))
        lines.append(note((x + to_x) / 2, (y + to_y) / 2 + 4, event.value))
    lines.append(note((PLACES[State.OPEN][0] + END) / 2, PLACES[State.OPEN][1] + 4, Event.ENDED.value))
    for state, (x, y) in PLACES.items():
        width = len(state.name) * LETTER + 14
        boxes.append(panel(x - width / 2, y - HALF, width, 2 * HALF))
        boxes.append(f'<text x="{x}" y="{y + 4}">{state.name}</text>')
    top, bottom = PLACES[State.CONNECTING][1] - HALF, PLACES[State.CLOSE_EXCHANGED][1] + HALF
    middle = (top + bottom) / 2
    boxes.append(panel(END - 32, top, 64, bottom - top))
    boxes.append(f'<text x="{END}" y="{middle + 4}">{State.CLOSED.name}</text>')
    return drawing('The states of a connection, and what leads from one to another', bottom + 21, lines + boxes)


def data_path() -> str:
    """What is received, and what is sent, step by step."""
    ways = [line.strip().split(' ─► ') for line in (websocket.__doc__ or '').split('\n') if ' ─► ' in line]
    received, sent = ways
    parts, height = [], 0.0
    for x, title, steps in ((WIDTH / 4, 'received', received), (WIDTH * 3 / 4, 'sent', sent)):
        y = 22.0
        parts.append(f'<text x="{x}" y="{y}" font-weight="bold">{title}</text>')
        y += 14
        for number, step in enumerate(steps):
            if number:
                parts.append(arrow(x, y + 1, x, y + 21))
                y += 22
            for label in re.split(', (?:or )?', step):
                lines = textwrap.wrap(label, 25)
                parts.append(panel(x - 98, y, 196, 16 * len(lines) + 14, quiet='(' not in label))
                parts += [f'<text x="{x}" y="{y + 19 + 16 * at}">{line}</text>' for at, line in enumerate(lines)]
                y += 16 * len(lines) + 17
        height = max(height, y)
    return drawing('The way of the data through a connection', height + 8, parts)


def layers() -> str:
    """The modules: each imports only from above, and from the left of it."""
    parts, y = [], 14.0
    for line in test_layering.LINES:
        pure = set(line) <= test_layering.PURE
        rows: list[list[str]] = [[]]
        for name in line:
            if rows[-1] and sum(len(other) * LETTER + 12 for other in [*rows[-1], name]) > WIDTH - 24:
                rows.append([])
            rows[-1].append(name)
        parts.append(panel(8, y - 8, WIDTH - 16, len(rows) * 22 + 8, quiet=not pure))
        for row in rows:
            x = 18.0
            for name in row:
                parts.append(f'<text x="{x:.1f}" y="{y + 10}" text-anchor="start">{escape(name)}</text>')
                x += len(name) * LETTER + 12
            y += 22
        y += 14
    return drawing('The modules of ws4py, in the order in which they may import each other', y, parts)


#: The files, and what draws each.
DRAWINGS = {'states.svg': states, 'data_path.svg': data_path, 'layers.svg': layers}

if __name__ == '__main__':
    for name, draw in DRAWINGS.items():
        (DOCS / '_static' / name).write_text(draw(), 'utf-8')
