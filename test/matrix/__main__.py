"""``python -m matrix``, from the directory above: runs every cell, prints the table, exits 1 when a step failed."""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

from backends import clients, servers

from . import scenario, table


def main() -> int:
    parser = argparse.ArgumentParser(prog='python -m matrix', description='Every server with every client.')
    parser.add_argument('--server', action='append', choices=[*table.ROWS, scenario.RAW], help='repeatable')
    parser.add_argument('--client', action='append', choices=table.COLUMNS, help='repeatable')
    parser.add_argument('--scheme', action='append', choices=table.SCHEMES, help='repeatable')
    parser.add_argument('--write', type=Path, help='write the table into this reStructuredText file')
    options = parser.parse_args()
    if options.write and (options.server or options.client or options.scheme):
        parser.error('--write is for a run of all cells')

    faults = []
    results = {}
    for name in options.server or [*table.ROWS, scenario.RAW]:
        columns = table.MET if name == scenario.RAW else table.ROWS[name]
        columns = [column for column in columns if column in (options.client or table.COLUMNS)]
        absent = [] if name == scenario.RAW else servers.missing(name)
        for column in columns:
            absent += [] if column == scenario.RAW else clients.missing(column)
        if absent:
            faults.append(f'{name}: not installed: {", ".join(sorted(set(absent)))}')
            continue
        started = time.monotonic()
        for scheme in options.scheme or table.SCHEMES:
            results.update(run(name, scheme, columns, faults))
        print(f'{name}: {len(columns)} clients in {time.monotonic() - started:.1f} s', flush=True)
    clients.Managed.end()
    faults += table.failures(results)
    text = table.render(results)
    print('', text, *faults, sep='\n')
    if options.write:
        options.write.write_text(f'.. Written by python -m matrix.\n\n{text}', encoding='utf-8')
    return 1 if faults else 0


def run(name: str, scheme: str, columns: list[str], faults: list[str]) -> dict[tuple[str, str, str], list]:
    """A row of the table."""
    results = {}
    tls = scheme == 'wss'
    if name == scenario.RAW:
        for client in columns:
            meeting = scenario.Meeting(client, clients.load(client), tls)
            results[name, scheme, client] = scenario.run(scenario.RAW_SERVER_STEPS, meeting)
        return results
    with scenario.Site(name, tls) as site:
        try:
            assert site.server.port
        except AssertionError as error:
            faults.append(str(error))
            return results
        for client in columns:
            cell = scenario.Cell(site, client, None if client == scenario.RAW else clients.load(client))
            results[name, scheme, client] = scenario.run(scenario.steps(client), cell)
            try:
                site.check_quiet()
            except Exception as error:
                faults.append(f'{name} {scheme} {client}: {error}')
    if site.server.process.returncode or site.server.output:
        faults.append(f'{name} {scheme} ended with {site.server.process.returncode}: {site.server.output}')
    return results


if __name__ == '__main__':
    sys.exit(main())
