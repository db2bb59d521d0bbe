"""The table of attacks by servers. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from .items import Attack

Results = Mapping[tuple[str, str], str]  # by name of the attack and of the server


def render(attacks: Sequence[Attack], servers: Sequence[str], results: Results) -> str:
    """The table, as reStructuredText."""
    lines = ['.. list-table::', '   :header-rows: 1', '']
    for row in [
        ['', 'Attack', *servers],
        *([str(a.number), a.title, *(results.get((a.name, s), '') for s in servers)] for a in attacks),
    ]:
        lines += [f'   {"* -" if at == 0 else "  -"} {cell}'.rstrip() for at, cell in enumerate(row)]
    return '\n'.join(lines) + '\n'
