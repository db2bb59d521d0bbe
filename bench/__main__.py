"""``python bench``: ws4py beside other libraries, under the same load, in one session.

    python bench [--quick] [--only WORK] [--against NAME] [--ours NAME] [--rounds 5] [--seconds 1]

Prints a table for each work. ``make bench`` does the same after it has made the environment of the project; those of
the peers are made here, when they are needed first. The works are in ``works.py``, those who do them in
``contestants.py``, how it is measured in ``measuring.py``.
"""

from __future__ import annotations

import argparse
import os
import platform
import tempfile
from pathlib import Path

import trustme
from contestants import CONTESTANTS
from measuring import measure
from report import table
from works import WORKS, quickened


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
    arguments = parser.parse_args()
    if arguments.quick:
        arguments.rounds, arguments.seconds = 1, 0.2

    print(
        f'{platform.python_implementation()} {platform.python_version()}, {os.cpu_count()} cores, {platform.system()}'
    )
    names = [*(arguments.ours or ours), *(arguments.against or peers)]
    with tempfile.TemporaryDirectory() as directory:
        tls = certificate(Path(directory))
        for name in arguments.only or WORKS:
            work = quickened(WORKS[name]) if arguments.quick else WORKS[name]
            taking_part = [CONTESTANTS[name] for name in names if work.kind in CONTESTANTS[name].does]
            if not taking_part:
                continue
            samples = measure(
                work, taking_part, tls, rounds=arguments.rounds, seconds=arguments.seconds, complain=complain
            )
            print(f'\n{table(work, samples, names[0])}', flush=True)


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


if __name__ == '__main__':
    main()
