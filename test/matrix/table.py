"""The rows and columns of the matrix, and how it is printed. Pure: runs nothing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from backends.clients import CLIENTS, OURS
from backends.servers import SERVERS

from .scenario import RAW, RAW_CLIENT_STEPS, RAW_SERVER_STEPS, STEPS, Result

COLUMNS = [*CLIENTS, RAW]
#: Of servers with something patched in, or another event loop, or another TLS; these meet a few clients only.
VARIANTS = {
    **{f'{server}+wsaccel': ['threaded', RAW] for server in SERVERS},
    'asyncio+uvloop': ['threaded', 'asyncio', RAW],
    'cherrypy+pyopenssl': ['threaded', RAW],
}
#: The clients that each server meets.
ROWS: dict[str, list[str]] = {**dict.fromkeys(SERVERS, COLUMNS), **VARIANTS}
MET = OURS  # the clients that the server of bare bytes meets
SCHEMES = ('ws', 'wss')

Results = Mapping[tuple[str, str, str], Sequence[Result]]


def render(results: Results) -> str:
    """The table and what it needs to be understood, as reStructuredText that is also fit for a terminal.

    :param results: by server, scheme and client.
    """
    rows = [['Server', '', *COLUMNS]]
    for server in [*ROWS, RAW]:
        for scheme in SCHEMES:
            found = {client: results.get((server, scheme, client)) for client in COLUMNS}
            if any(found.values()):
                rows.append([server, scheme, *(_count(found[client] or ()) for client in COLUMNS)])
    parts = [_table(rows), 'The steps of a real client:\n', _list([step.title for step in STEPS])]
    parts += ['The steps of a client of bare bytes:\n', _list([step.title for step in RAW_CLIENT_STEPS])]
    parts += ['The steps of a server of bare bytes:\n', _list([step.title for step in RAW_SERVER_STEPS])]
    unable = {}
    for (_, _, client), cell in results.items():
        for result in cell:
            if result.outcome == 'n/a':
                unable.setdefault(client, {})[result.title] = result.note
    lines = [f'{client}, *{title}*: {note}' for client, notes in unable.items() for title, note in notes.items()]
    parts += ['Not applicable (n/a):\n', _list(lines)] if lines else []
    return '\n'.join(parts)


def failures(results: Results) -> list[str]:
    """A line for each step that failed."""
    return [
        f'{server} {scheme} {client}: {result.title}: {result.note}'
        for (server, scheme, client), cell in results.items()
        for result in cell
        if result.outcome == 'FAILED'
    ]


def _count(cell: Sequence[Result]) -> str:
    counts = Counter(result.outcome for result in cell)
    return ', '.join(f'{counts[outcome]} {outcome}' for outcome in ('OK', 'FAILED', 'n/a') if counts[outcome])


def _table(rows: list[list[str]]) -> str:
    widths = [max(map(len, column)) for column in zip(*rows)]
    # A row of a simple table whose first cell is empty would belong to the one above.
    lines = ['  '.join(text.ljust(width) for text, width in zip(row, widths)).rstrip() for row in rows]
    rule = '  '.join('=' * width for width in widths)
    return '\n'.join([rule, lines[0], rule, *lines[1:], rule]) + '\n'


def _list(lines: Sequence[str]) -> str:
    return ''.join(f'* {line}\n' for line in lines)
