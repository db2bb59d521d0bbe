"""A run and its machine, as JSON: what was measured is kept whole, tables and plots can be made from it at any time."""

from __future__ import annotations

import importlib.metadata
import json
import os
import platform
import time
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

import works
from contestants import CONTESTANTS
from environments import REQUIREMENTS
from measuring import Sample

__all__ = ['Run', 'machine']


@dataclass(frozen=True)
class Run:
    """One session.

    :ivar when: its day.
    :ivar machine: what it ran on, and the releases that took part: titles and values.
    :ivar rounds: of each work.
    :ivar seconds: of each measurement.
    :ivar quick: the works had a tenth of their connections.
    :ivar samples: by the names of the work and of the contestant.
    """

    when: str
    machine: dict[str, str]
    rounds: int
    seconds: float
    quick: bool
    samples: dict[str, dict[str, list[Sample]]]

    def work(self, name: str) -> works.Work:
        """The work of that name, as it was in this run."""
        return works.quickened(works.WORKS[name]) if self.quick else works.WORKS[name]

    def save(self, path: Path) -> None:
        """Write it into a file, whose directory is made."""
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(asdict(self), indent=1), encoding='utf-8')

    @classmethod
    def load(cls, path: Path) -> Run:
        """Read what :meth:`save` has written. Works and contestants that there are no more are not in it.

        :raises OSError: the file is not there.
        """
        content = json.loads(path.read_text('utf-8'))
        content['samples'] = {
            work: {name: [Sample(**row) for row in rows] for name, rows in by.items() if name in CONTESTANTS}
            for work, by in content['samples'].items()
            if work in works.WORKS
        }
        return cls(**content)


def machine(names: Iterable[str]) -> dict[str, str]:
    """This machine, and the releases that the contestants of these *names* bring."""
    model = [line for line in Path('/proc/cpuinfo').read_text().splitlines() if line.startswith('model name')]
    described = {
        'Processor': model[0].partition(':')[2].strip() if model else platform.machine(),
        'Cores': f'{os.cpu_count()}: one for the process under test, one for the load',
        'System': f'{platform.system()} {platform.release()}',
        'Python': f'{platform.python_implementation()} {platform.python_version()}',
        'Ours': ', '.join(_installed(('ws4py', 'cherrypy', 'gevent', 'uvloop'))),
    }
    environments = {environment for name in names if (environment := CONTESTANTS[name].environment)}
    for environment in sorted(environments):
        pinned = REQUIREMENTS / f'{environment}.txt'
        if pinned.exists():
            lines = pinned.read_text('utf-8').splitlines()
            title = 'Peers' if environment == 'peers' else environment
            described[title] = ', '.join(line.replace('==', ' ') for line in lines if '==' in line)
    if 'node' in environments:
        packages = json.loads((REQUIREMENTS / 'package.json').read_text('utf-8'))['dependencies']
        described['Node.js'] = ', '.join(f'{name} {version}' for name, version in sorted(packages.items()))
    described['Date'] = today()
    return described


def today() -> str:
    """The day, as in 2026-02-28."""
    return time.strftime('%Y-%m-%d')


def _installed(names: Iterable[str]) -> Iterable[str]:
    for name in names:
        try:
            yield f'{name} {importlib.metadata.version(name)}'
        except importlib.metadata.PackageNotFoundError:
            continue
