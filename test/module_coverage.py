"""Branch coverage of each module of the core by its own test file; exits 1 where a branch is not run.

    cd test && python module_coverage.py [module …]

What another test happens to run does not count: ``ws4py/uri.py`` is measured while only ``test_uri.py`` runs. This is a
program, not a test, because it starts one Python for each module.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

TEST = Path(__file__).resolve().parent
PACKAGE = TEST.parent / 'ws4py'
NOT_CORE = {'__main__'}  # a program; as those of cli/ it is run by its tests in a process of its own
MEASURE = [sys.executable, '-m', 'coverage']
PYTEST = ['pytest', '-q', '-p', 'no:cov', '-p', 'no:cacheprovider']


def main(names: list[str]) -> int:
    core = sorted({path.stem for path in PACKAGE.glob('*.py')} - NOT_CORE | {'testing'})
    unknown = sorted(set(names) - set(core))
    if unknown:
        print(f'no module of the core: {", ".join(unknown)}', file=sys.stderr)
        return 2
    short = [name for name in names or core if not measure(name)]
    print(f'{len(names or core) - len(short)} modules complete' + (f', not so: {", ".join(short)}' if short else ''))
    return 1 if short else 0


def measure(name: str) -> bool:
    """Run the module's test file, print its coverage where it is not complete, and tell whether it is."""
    test = TEST / f'test_{name.strip("_")}.py'
    if not test.exists():
        print(f'{name}: there is no {test.name}')
        return False
    with tempfile.TemporaryDirectory() as directory:
        options = [f'--data-file={directory}/data', f'--rcfile={TEST.parent / "pyproject.toml"}']
        files = f'--include={PACKAGE / name}.py,{PACKAGE / name}/*'
        run = [*MEASURE, 'run', *options, files, '-m', *PYTEST, str(test)]
        done = subprocess.run(run, cwd=TEST, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        if done.returncode:
            print(done.stdout)
            print(f'{name}: {test.name} fails')
            return False
        show = [*MEASURE, 'report', *options, files, '--fail-under=100', '--precision=2']
        done = subprocess.run(show, cwd=TEST, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        if done.returncode:
            print(done.stdout)
        return done.returncode == 0


if __name__ == '__main__':
    sys.exit(main(sys.argv[1:]))
