"""``python -m fuzz``, from the directory above: every target for so many seconds, two at a time.

Prints what each of them did and reached, and exits 1 on a finding, and on a branch of its modules that was neither
reached nor is on the list of :mod:`fuzz.unreachable`.
"""

from __future__ import annotations

import argparse
import logging
import subprocess
import sys
import tempfile
import traceback
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple, Optional

from . import corpus, differential, engine, reach
from .targets import TARGETS

TEST = Path(__file__).resolve().parents[1]
GRACE = 300  # seconds that a run may need beyond its time: it begins with the corpus


class Outcome(NamedTuple):
    """What a run came to.

    :ivar executions: how often the target was called.
    :ivar inputs: all that were worth keeping, and those of before.
    :ivar findings: inputs that fail.
    """

    executions: int
    inputs: list[bytes]
    findings: list[bytes]
    output: str


def main() -> int:
    parser = argparse.ArgumentParser(prog='python -m fuzz', description='Fuzz every target.')
    parser.add_argument('--target', action='append', choices=TARGETS, help='repeatable (default: all)')
    parser.add_argument('--seconds', type=int, default=600, help='for each target; 0 only measures (default: 600)')
    parser.add_argument('--jobs', type=int, default=2, help='targets at a time (default: %(default)s)')
    parser.add_argument('--write', action='store_true', help='put what was found into the corpus, minimised')
    options = parser.parse_args()
    logging.disable(logging.CRITICAL)
    names = options.target or list(TARGETS)
    print(f'engine: {"atheris" if engine.atheris else "hypothesis"}, {options.seconds} s a target', flush=True)
    faults: list[str] = []
    if 'differential' in names and not differential.COMPARED:
        names.remove('differential')
        faults.append('differential: websockets 17 or newer is not installed')
    with ThreadPoolExecutor(options.jobs) as pool:
        outcomes = dict(zip(names, pool.map(lambda name: run(name, options.seconds), names)))
        if options.write:
            for name in names:
                write(name, outcomes[name])
        reached = dict(zip(names, pool.map(lambda name: measure(name, outcomes[name]), names)))
    print(f'\n{"target":<14}{"executions":>12}{"corpus":>9}{"findings":>10}   branches of its scope')
    for name in names:
        outcome, branches = outcomes[name], reached[name]
        print(
            f'{name:<14}{outcome.executions:>12,}{len(outcome.inputs):>9}{len(outcome.findings):>10}   {tell(branches)}'
        )
        if branches is not None:
            faults += [f'{name}: not reached: {place}' for place in branches.missed]
            faults += [f'{name}: on the list, but reached or gone: {place}' for place in branches.stale]
    for name in names:
        for finding in outcomes[name].findings:
            faults.append(f'{name}: {finding!r}\n{explain(name, finding)}')
        if outcomes[name].output:
            faults.append(f'{name}: {outcomes[name].output}')
    print('', *faults, sep='\n')
    return 1 if faults else 0


def run(name: str, seconds: int) -> Outcome:
    """Let the engine work on a target, in a process of its own."""
    known = [data for part in corpus.load(name) for data in part]
    if not seconds:
        return Outcome(0, known, [], '')
    with tempfile.TemporaryDirectory() as temporary:
        directory = Path(temporary)
        for at, data in enumerate(known):
            (directory / f'known-{at:04}').write_bytes(data)
        command = [sys.executable, '-m', 'fuzz.engine', name, temporary, str(seconds)]
        done = subprocess.run(
            command, cwd=TEST, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=seconds + GRACE
        )
        inputs = [path.read_bytes() for path in directory.iterdir() if path.is_file()]
        findings = [path.read_bytes() for path in (directory / 'findings').iterdir()]
    counted = [line for line in done.stdout.splitlines() if line.startswith(engine.EXECUTIONS)]
    executions = int(counted[-1].split()[-1]) if counted else 0
    broken = done.returncode and not findings
    return Outcome(executions, inputs, findings, f'the engine broke:\n{done.stdout[-4000:]}' if broken else '')


def write(name: str, outcome: Outcome) -> None:
    """Put what was found into the corpus."""
    kept, _ = corpus.load(name)
    bad = set(outcome.findings)
    good = [data for data in outcome.inputs if data not in bad]
    found = corpus.minimised(TARGETS[name].check, [data for data in kept if data not in bad], good)
    corpus.save(name, [*kept, *(data for data in outcome.findings if data not in kept)], found)


def measure(name: str, outcome: Outcome) -> Optional[reach.Reached]:
    """What the inputs of a run reach; None where the target has no modules of its own, or what it found ends it."""
    if outcome.findings or not TARGETS[name].scope:
        return None
    return reach.measure(name, TARGETS[name], outcome.inputs)


def tell(reached: Optional[reach.Reached]) -> str:
    if reached is None:
        return '-'
    return f'{reached.branches} reached, {len(reached.missed)} not, {reached.explained} that it cannot reach'


def explain(name: str, finding: bytes) -> str:
    try:
        TARGETS[name].check(finding)
    except Exception:
        return traceback.format_exc()
    return f'(no error now: it took longer than {engine.SLOW} seconds, or too much memory)'


if __name__ == '__main__':
    sys.exit(main())
