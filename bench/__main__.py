"""``python bench``: ws4py beside other libraries, under the same load, in one session.

    python bench [--quick] [--only WORK] [--against NAME] [--ours NAME] [--rounds 5] [--seconds 1] [--reach] [--write]

Prints a table for each work, and keeps what it has measured in ``bench/results``. ``make bench`` does the same after
it has made the environment of the project; those of the peers are made here, when they are needed first. The works are
in ``works.py``, those who do them in ``contestants.py``, how it is measured in ``measuring.py``, what is aimed at in
``reach.py``.
"""

from __future__ import annotations

import argparse
import subprocess
import tempfile
import time
from pathlib import Path

import trustme
from contestants import CONTESTANTS
from environments import BENCH, Missing, python
from measuring import Sample, measure
from report import page, reach_text, work_text
from results import Run, machine, today
from works import WORKS, quickened

DOCS = BENCH.parent / 'docs'
QUICK = (1, 0.1)  # rounds, and seconds of each measurement


def main() -> None:
    parser = argparse.ArgumentParser(prog='bench', description='ws4py beside other libraries, under the same load.')
    ours = [name for name, contestant in CONTESTANTS.items() if contestant.ours]
    peers = [name for name, contestant in CONTESTANTS.items() if not contestant.ours]
    parser.add_argument('--only', action='append', choices=WORKS, metavar='WORK', help=f'of {", ".join(WORKS)}')
    parser.add_argument('--against', action='append', choices=peers, metavar='NAME', help=f'of {", ".join(peers)}')
    parser.add_argument('--ours', action='append', choices=ours, metavar='NAME', help=f'of {", ".join(ours)}')
    parser.add_argument('--rounds', type=int, default=5, help='of each work (default: %(default)s)')
    parser.add_argument('--seconds', type=float, default=1.0, help='of each measurement (default: %(default)s)')
    parser.add_argument('--quick', action='store_true', help='one short round of smaller works; figures mean little')
    parser.add_argument('--reach', action='store_true', help='also print what was aimed at, and whether it was reached')
    parser.add_argument('--write', action='store_true', help='write the tables and plots of the documentation')
    parser.add_argument('--results', type=Path, metavar='FILE', help='keep what was measured there')
    parser.add_argument('--from', type=Path, metavar='FILE', dest='source', help='measure nothing: take that of a run')
    arguments = parser.parse_args()
    if arguments.quick:
        arguments.rounds, arguments.seconds = QUICK
    if arguments.rounds < 1 or arguments.seconds <= 0:
        parser.error('a run has a round at least, and a measurement takes time')

    kept = arguments.results or BENCH / 'results' / f'{time.strftime("%Y%m%d-%H%M%S")}.json'
    if arguments.source:
        kept, run = arguments.source, Run.load(arguments.source)
        for name, samples in run.samples.items():
            print(f'\n{work_text(run.work(name), samples, next(iter(samples)))}')
    else:
        names = [*(arguments.ours or ours), *(arguments.against or peers)]
        run = run_all(arguments.only or list(WORKS), names, arguments)
        run.save(kept)
        print(f'\nkept in {kept}')
    if arguments.reach:
        print(f'\n{reach_text(run)}')
    if arguments.write:
        write(run, kept)


def run_all(works: list[str], names: list[str], arguments: argparse.Namespace) -> Run:
    """Measure the works of these names, with the contestants of those, and print each table when it is there."""
    described = machine(names)
    print('\n'.join(f'{title}: {value}' for title, value in described.items()), flush=True)
    measured: dict[str, dict[str, list[Sample]]] = {}
    with tempfile.TemporaryDirectory() as directory:
        tls = certificate(Path(directory))
        for key in works:
            work = quickened(WORKS[key]) if arguments.quick else WORKS[key]
            taking_part = [CONTESTANTS[name] for name in names if work.kind in CONTESTANTS[name].does]
            if not taking_part:
                continue
            samples = measure(
                work, taking_part, tls, rounds=arguments.rounds, seconds=arguments.seconds, complain=complain
            )
            if samples:
                measured[key] = samples
                print(f'\n{work_text(work, samples, taking_part[0].name)}', flush=True)
    return Run(today(), described, arguments.rounds, arguments.seconds, arguments.quick, measured)


def certificate(directory: Path) -> tuple[str, str]:
    """Files with a certificate for 127.0.0.1 and its key, for servers over TLS."""
    issued = trustme.CA().issue_cert('127.0.0.1')
    paths = directory / 'certificate.pem', directory / 'key.pem'
    paths[0].write_bytes(b''.join(blob.bytes() for blob in issued.cert_chain_pems))
    issued.private_key_pem.write_to_path(paths[1])
    return str(paths[0]), str(paths[1])


def complain(text: str) -> None:
    """A contestant is left out."""
    print(f'  left out: {text}', flush=True)


def write(run: Run, kept: Path) -> None:
    """Write the tables and the plots of the documentation. Without matplotlib the plots stay as they are."""
    (DOCS / 'performance_table.rst').write_text(page(run), encoding='utf-8')
    try:
        command = [str(python('plots')), str(BENCH / 'plots.py'), str(kept.resolve()), str(DOCS / '_static')]
        subprocess.run(command, check=True)
    except Missing as error:
        complain(f'the plots: {error}')


if __name__ == '__main__':
    main()
