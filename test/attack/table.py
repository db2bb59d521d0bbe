"""The tables of attacks by targets, one for each kind. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from .items import Attack

Results = dict[tuple[str, str], str]  # by name of the attack and of the target


def render(kind: str, attacks: Sequence[Attack], names: Sequence[str], results: Results) -> str:
    """The table of one kind of targets, as reStructuredText."""
    lines = [f'On {kind}:', '', '.. list-table::', '   :header-rows: 1', '']
    for row in [
        ['', 'Attack', *names],
        *([str(a.number), a.title, *(results.get((a.name, name), '') for name in names)] for a in attacks),
    ]:
        lines += [f'   {"* -" if at == 0 else "  -"} {cell}'.rstrip() for at, cell in enumerate(row)]
    return '\n'.join(lines) + '\n'
