"""``python -m attack``, from the directory above: every attack on every server, and its figure; 1 after a miss."""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

from backends import servers

from . import table
from .runner import ATTACKS, NAMES, Running


def main() -> int:
    parser = argparse.ArgumentParser(prog='python -m attack', description='Attacks on every server.')
    parser.add_argument('--server', action='append', choices=NAMES, help='repeatable (default: all)')
    parser.add_argument('--item', action='append', type=int, help='number of an attack, repeatable (default: all)')
    parser.add_argument('--light', action='store_true', help='in the size that the test suite runs')
    parser.add_argument('--write', type=Path, help='write the table into this reStructuredText file')
    options = parser.parse_args()
    chosen = [attack for attack in ATTACKS if not options.item or attack.number in options.item]
    names = options.server or NAMES
    if options.write and (options.server or options.item):
        parser.error('--write is for a run of all attacks on all servers')
    results, misses = {}, []
    for name in names:
        absent = servers.missing(name)
        if absent:
            misses.append(f'{name}: not installed: {", ".join(absent)}')
            continue
        with Running(name, heavy=not options.light) as running:
            for attack in chosen:
                begin = time.monotonic()
                figure, missed = running.run(attack)
                results[attack.name, name] = figure
                print(
                    f'{name:10} {attack.number:2} {attack.title}: {figure} ({time.monotonic() - begin:.1f} s)',
                    flush=True,
                )
                if missed:
                    misses.append(f'{name} {attack.number}: {figure}')
        misses += [f'{name}: {fault}' for fault in running.faults]
    if options.write and not misses:
        text = table.render(ATTACKS, NAMES, results)
        options.write.write_text(f'.. Written by python -m attack.\n\n{text}', encoding='utf-8')
    print(*misses, f'{len(misses)} misses', sep='\n')
    return 1 if misses else 0


if __name__ == '__main__':
    sys.exit(main())
