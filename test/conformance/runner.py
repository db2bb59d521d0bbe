"""Brings one subject together with kosoku, and gives back a verdict for each case.

Called by ``python -m conformance``, from the main thread; needs Python 3.10, which kosoku needs. kosoku patches
`binascii` and puts names such as `autobahn` on ``sys.path``, so this never runs inside the test runner's process.
It does not judge: what counts as good is said in `table`.
"""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import kosoku

from . import subjects
from .table import Verdict

if TYPE_CHECKING:
    from kosoku._kosoku import CaseResult

SCRIPT = Path(subjects.__file__).resolve()
START_TIMEOUT = 30.0  # seconds, for the interpreter and its imports
STOP_TIMEOUT = 30.0  # seconds, above every close timeout of the package
KILL_TIMEOUT = 2.0  # seconds, for a subject that has failed already


class SubjectError(Exception):
    """The subject did not start, ended by itself with an error, or had to be killed; holds what it printed."""


class Report(NamedTuple):
    verdicts: dict[str, Verdict]
    seconds: float


def run(name: str, cases: list[str], *, python: str, parallel: int, timeout: float) -> Report:
    """Run `cases` (ids or globs) against subject `name` inside interpreter `python`, for at most `timeout` seconds.

    Raises SubjectError if the subject could not be run to the end.
    """
    name, python = subjects.program(name, python)
    fuzz = _fuzz_server if name.split('+')[0] in subjects.SERVERS else _fuzz_client
    started = time.monotonic()
    results = asyncio.run(fuzz(python, name, cases, parallel, timeout))
    return Report({result.case_id: _verdict(result) for result in results}, time.monotonic() - started)


async def _fuzz_server(python: str, name: str, cases: list[str], parallel: int, timeout: float) -> list[CaseResult]:
    async with _subject(python, name) as process:
        assert process.stdout is not None
        port = await asyncio.wait_for(process.stdout.readline(), START_TIMEOUT)
        if not port:
            raise SubjectError('it never listened')
        url = f'ws://127.0.0.1:{int(port)}/'
        results = await asyncio.wait_for(_results(kosoku.run_fuzzingclient(url, cases, concurrency=parallel)), timeout)
    return results


async def _fuzz_client(python: str, name: str, cases: list[str], parallel: int, timeout: float) -> list[CaseResult]:
    async with kosoku.run_fuzzingserver(cases, port=0) as server:
        url = f'ws://{server.address}:{server.port}'
        async with _subject(python, name, '--url', url, '--parallel', str(parallel)) as process:
            await asyncio.wait_for(process.wait(), timeout)
        try:
            results = await asyncio.wait_for(_results(server.get_result()), STOP_TIMEOUT)
        except asyncio.TimeoutError:
            raise SubjectError(f'{name}: it ended without having run every case') from None
    return results


@asynccontextmanager
async def _subject(python: str, name: str, *arguments: str) -> AsyncIterator[asyncio.subprocess.Process]:
    """The running process; at the end it is asked to stop by closing its standard input, and must exit with 0."""
    with tempfile.TemporaryFile() as log:
        process = await asyncio.create_subprocess_exec(
            python,
            str(SCRIPT),
            name,
            *arguments,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=log,
        )
        failure = None
        try:
            yield process
        except (SubjectError, asyncio.TimeoutError) as error:
            failure = str(error) or 'it took too long'
        finally:
            assert process.stdin is not None
            process.stdin.close()
            try:
                await asyncio.wait_for(process.wait(), KILL_TIMEOUT if failure else STOP_TIMEOUT)
            except asyncio.TimeoutError:
                failure = failure or 'it did not stop'
                with suppress(ProcessLookupError):  # ended at this very moment
                    process.kill()
                await process.wait()
        if failure or process.returncode:
            log.seek(0)
            text = log.read().decode(errors='replace')
            raise SubjectError(f'{name}: {failure or f"ended with status {process.returncode}"}\n{text[-4000:]}')


async def _results(run: Awaitable[list[CaseResult]]) -> list[CaseResult]:
    """Every result; kosoku's own idea of failing (which lets NON-STRICT pass) is ignored."""
    try:
        return await run
    except kosoku.FailureError as failure:
        return failure.results


def _verdict(result: CaseResult) -> Verdict:
    note = f'{result.result} {result.result_close} (close code {result.remote_close_code})'
    if result.was_not_clean_reason:
        note += f' {result.was_not_clean_reason}'
    return Verdict(result.behavior.value, result.behavior_close.value, note)
