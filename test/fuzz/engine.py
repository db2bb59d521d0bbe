"""``python -m fuzz.engine TARGET DIRECTORY SECONDS``: makes up inputs for a target, for so long.

With atheris__, which watches what of ws4py each input reaches and goes on from those that reach something new; where it
is not installed with hypothesis, which draws from the corpus and does not watch. The directory has the inputs to begin
with, one a file, and gets the new ones. A finding ends the run: its input is written as ``crash-…`` (or
``timeout-…``) into the directory ``findings`` in it, and the exit status is not 0. The last line says how many times
the target was called.

A program of its own, since atheris has to see the modules of ws4py before anybody else imports them, and ends the
process.

__ https://pypi.org/project/atheris/
"""

from __future__ import annotations

import hashlib
import logging
import sys
import time
from pathlib import Path
from typing import Callable, Optional

try:
    import atheris
except ImportError:
    atheris = None

SLOW = 20  # seconds for one input, which is a finding too
ROUNDS = 1  # of hypothesis, at least
EXECUTIONS = 'stat::number_of_executed_units:'  # what the line begins with that says how many


def main(name: str, directory: Path, seconds: int) -> int:
    logging.disable(logging.CRITICAL)
    (directory / 'findings').mkdir(exist_ok=True)
    if atheris is None:
        from .targets import TARGETS

        return with_hypothesis(TARGETS[name].check, TARGETS[name].longest, directory, seconds)
    with atheris.instrument_imports(include=['ws4py']):
        from .targets import TARGETS
    options = [
        f'-max_total_time={seconds}',
        f'-max_len={TARGETS[name].longest}',
        f'-timeout={SLOW}',
        f'-artifact_prefix={directory}/findings/',
        '-print_final_stats=1',
        '-rss_limit_mb=1024',
    ]
    atheris.Setup([sys.argv[0], str(directory), *options], TARGETS[name].check)
    atheris.Fuzz()  # does not return
    return 0


def with_hypothesis(check: Callable[[bytes], None], longest: int, directory: Path, seconds: float) -> int:
    from hypothesis import HealthCheck, given, settings
    from hypothesis import strategies as st

    known = [path.read_bytes() for path in sorted(directory.iterdir()) if path.is_file()] or [b'']
    pieces = st.one_of(st.binary(max_size=4), st.sampled_from(known).flatmap(parts), st.sampled_from(known))
    executions = 0
    failed: Optional[bytes] = None

    @settings(max_examples=1000, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(st.lists(pieces, max_size=4).map(lambda drawn: b''.join(drawn)[:longest]))
    def run(data: bytes) -> None:
        nonlocal executions, failed
        executions += 1
        failed = data  # the last one that hypothesis tries is the smallest that fails
        check(data)

    end = time.monotonic() + seconds
    rounds = 0
    try:
        while rounds < ROUNDS or time.monotonic() < end:
            run()
            rounds += 1
    except Exception:
        assert failed is not None
        path = directory / 'findings' / f'crash-{hashlib.sha256(failed).hexdigest()[:16]}'
        path.write_bytes(failed)
        return 1
    finally:
        print(EXECUTIONS, executions, file=sys.stderr)
    return 0


def parts(data: bytes):
    """Strategy for a part of *data*."""
    from hypothesis import strategies as st

    ends = st.tuples(st.integers(0, len(data)), st.integers(0, len(data)))
    return ends.map(lambda pair: data[min(pair) : max(pair)])


if __name__ == '__main__':
    sys.exit(main(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])))
