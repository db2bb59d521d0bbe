"""``python -m attack``, from the directory above: every attack on every target, and its figure; 1 after a miss."""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

from . import table
from .runner import SIDES, Running, attacks


def main() -> int:
    parser = argparse.ArgumentParser(prog='python -m attack', description='Attacks on servers, clients and masks.')
    for kind, side in SIDES.items():
        parser.add_argument(
            f'--{side.option}', action='append', choices=side.names, dest=kind, help='repeatable (default: everything)'
        )
    parser.add_argument('--item', action='append', type=int, help='number of an attack, repeatable (default: all)')
    parser.add_argument('--light', action='store_true', help='in the size that the test suite runs')
    parser.add_argument('--write', type=Path, help='write the tables into this reStructuredText file')
    options = parser.parse_args()
    chosen = {kind: getattr(options, kind) for kind in SIDES}
    if not any(chosen.values()):
        chosen = {kind: side.names for kind, side in SIDES.items()}
    elif options.write:
        parser.error('--write is for a run on everything')
    if options.write and options.item:
        parser.error('--write is for a run of all attacks')
    tables, misses = [], []
    for kind, names in chosen.items():
        results: table.Results = {}
        made = [attack for attack in attacks(kind) if not options.item or attack.number in options.item]
        for name in (names or ()) if made else ():
            misses += on_target(kind, name, made, not options.light, results)
        tables.append(table.render(kind, made, SIDES[kind].names, results))
    if options.write and not misses:
        text = '\n'.join(['.. Written by python -m attack.\n', *tables])
        options.write.write_text(text, encoding='utf-8')
    print(*misses, f'{len(misses)} misses', sep='\n')
    return 1 if misses else 0


def on_target(kind: str, name: str, made: list[table.Attack], heavy: bool, results: table.Results) -> list[str]:
    """Make these attacks on one target, fill in their results, and return what was missed."""
    absent = SIDES[kind].missing(name)
    if absent:
        return [f'{kind} {name}: not installed: {", ".join(absent)}']
    misses = []
    with Running(kind, name, heavy) as running:
        for attack in made:
            begin = time.monotonic()
            figure, missed = running.run(attack)
            results[attack.name, name] = figure
            seconds = time.monotonic() - begin
            print(f'{kind} {name:8} {attack.number:2} {attack.title}: {figure} ({seconds:.1f} s)', flush=True)
            if missed:
                misses.append(f'{kind} {name} {attack.number}: {figure}')
    return misses + [f'{kind} {name}: {fault}' for fault in running.faults]


if __name__ == '__main__':
    sys.exit(main())
