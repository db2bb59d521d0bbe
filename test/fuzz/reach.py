"""Which branches of its modules a target reaches with its corpus, and which it should.

``python -m fuzz.reach TARGET`` sends the corpus through the target; :func:`missed` does that under coverage.py, and
holds what was not reached against the list of :mod:`fuzz.unreachable`. A line that is not reached counts like a branch:
what an ``except`` catches is no branch to coverage.py.
"""

from __future__ import annotations

import json
import logging
import subprocess
import sys
import tempfile
from fnmatch import fnmatchcase
from pathlib import Path
from typing import NamedTuple

from . import corpus
from .targets import TARGETS, Target
from .unreachable import OUTSIDE, UNREACHABLE

TEST = Path(__file__).resolve().parents[1]
MEASURE = [sys.executable, '-m', 'coverage']


class Reached(NamedTuple):
    """What the corpus of a target does.

    :ivar branches: that were taken.
    :ivar explained: places that were not reached, as the list has them.
    :ivar missed: the others.
    :ivar stale: places on the list that were reached, or are not there any more.
    """

    branches: int
    explained: int
    missed: list[str]
    stale: list[str]


def measure(name: str, target: Target, inputs: list[bytes]) -> Reached:
    """The branches that *inputs* reach of what is in the target's scope."""
    with tempfile.TemporaryDirectory() as directory:
        packed = Path(directory, 'inputs')
        packed.write_text(corpus.build(inputs), 'ascii')
        include = ','.join(f'{corpus.PACKAGE / module}.py' for module in target.modules)
        options = [f'--data-file={directory}/data', f'--rcfile={TEST.parent / "pyproject.toml"}']
        run = [*MEASURE, 'run', *options, '-m', 'fuzz.reach', name, str(packed)]
        subprocess.run(run, cwd=TEST, check=True)
        report = [*MEASURE, 'json', *options, f'--include={include}', '--quiet', '-o', f'{directory}/report.json']
        subprocess.run(report, cwd=TEST, check=True)
        files = json.loads(Path(directory, 'report.json').read_text('utf-8'))['files']
    known = UNREACHABLE[name]
    met: set[str] = set()
    missed = []
    branches = explained = 0
    for path, file in files.items():
        file_path = TEST / path
        module = file_path.resolve().relative_to(corpus.PACKAGE).with_suffix('').as_posix()
        lines = ['', *file_path.read_text('utf-8').splitlines()]
        for function, region in file['functions'].items():
            function = function.partition('@')[0]  # of a property and its setter
            if not in_scope(f'{module}: {function}', target):
                continue
            branches += len(region['executed_branches'])
            for place in places(region, lines):
                keys = {f'{module}: {function}', f'{module}: {function}: {place}'} & set(known)
                if not keys:
                    missed.append(f'{module}: {function}: {place}')
                met |= keys
                explained += bool(keys)
    return Reached(branches, explained, missed, sorted(set(known) - met))


def in_scope(function: str, target: Target) -> bool:
    """Whether ``module: function`` is one that the target is meant to reach all of."""
    return function not in OUTSIDE and any(fnmatchcase(function, pattern) for pattern in target.scope)


def places(region: dict, lines: list[str]) -> list[str]:
    """What was not reached in a function: ``line -> line`` for a branch, or a line to which no branch leads."""
    ends = {end for _, end in region['missing_branches']}
    found = []
    for begin, end in region['missing_branches']:
        found.append(f'{lines[begin].strip()} -> {lines[end].strip() if end > 0 else "the end"}')
    missing = sorted(set(region['missing_lines']))
    begun = {begin for begin, _ in region['missing_branches']}
    for line in missing:
        # A line behind one that was not reached either has nothing to say.
        if line not in ends and line - 1 not in missing and line not in begun:
            found.append(lines[line].strip())
    return found


def main(name: str, path: Path) -> int:
    logging.disable(logging.CRITICAL)
    for data in corpus.parse(path.read_text('ascii')):
        TARGETS[name].check(data)
    return 0


if __name__ == '__main__':
    sys.exit(main(sys.argv[1], Path(sys.argv[2])))
