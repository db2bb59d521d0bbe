"""The corpus of a target, in a file of text with a bytes literal a line, and two parts.

Behind the first heading are inputs that stay: those written by hand, and findings. Behind the second are those that
reach what no smaller one does; they are replaced when the engine has found better ones.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from types import FrameType
from typing import Any, Callable, Optional

import ws4py

PACKAGE = Path(ws4py.__file__).resolve().parent  # the one that is run, which may be an installed one
DIRECTORY = Path(__file__).resolve().parent / 'corpus'
# Where steps count: in ws4py, and in what tells one difference from another.
WATCHED = (
    str(PACKAGE),
    str(Path(__file__).resolve().with_name('differential.py')),
)
MOST = 300  # inputs of a target
KEPT = '# Written by hand, or a finding: never dropped'
FOUND = '# Found by the engine: each reaches what none before it does'

Feature = tuple[str, int, int, int]


def load(name: str) -> tuple[list[bytes], list[bytes]]:
    """What is kept, and what was found."""
    kept, _, found = (DIRECTORY / f'{name}.txt').read_text('ascii').partition(FOUND)
    return parse(kept.replace(KEPT, '')), parse(found)


def save(name: str, kept: Iterable[bytes], found: Iterable[bytes]) -> None:
    text = f'{KEPT}\n{build(kept)}{FOUND}\n{build(found)}'
    (DIRECTORY / f'{name}.txt').write_text(text, 'ascii')


def parse(text: str) -> list[bytes]:
    return [ast.literal_eval(line) for line in text.splitlines() if line]


def build(inputs: Iterable[bytes]) -> str:
    return ''.join(f'{data!r}\n' for data in inputs)


def minimised(check: Callable[[bytes], None], kept: Sequence[bytes], inputs: Iterable[bytes]) -> list[bytes]:
    """Those of *inputs* that do something in ws4py which neither what is *kept* nor a smaller one does: a step from one
    line to another, so many times (in powers of two). All must pass *check*."""
    found: list[bytes] = []
    seen = {feature for data in kept for feature in traced(check, data)}
    steps = {feature[:3] for feature in seen}
    more: list[bytes] = []
    for data in sorted(set(inputs) - set(kept), key=lambda data: (len(data), data)):
        features = traced(check, data)
        new = {feature[:3] for feature in features} - steps
        if new:
            steps |= new
            seen |= features
            found.append(data)
        else:
            more.append(data)
    for data in more:  # how often comes after what
        if len(kept) + len(found) >= MOST:
            break
        features = traced(check, data)
        if not features <= seen:
            seen |= features
            found.append(data)
    return found


def traced(check: Callable[[bytes], None], data: bytes) -> set[Feature]:
    """What *data* does in ws4py."""
    counts: dict[tuple[str, int, int], int] = {}
    last: dict[int, int] = {}

    def local(frame: FrameType, event: str, argument: Any) -> Any:
        if event == 'line':
            step = frame.f_code.co_filename, last.get(id(frame), 0), frame.f_lineno
            counts[step] = counts.get(step, 0) + 1
            last[id(frame)] = frame.f_lineno
        return local

    def called(frame: FrameType, event: str, argument: Any) -> Optional[Any]:
        if not frame.f_code.co_filename.startswith(WATCHED):
            return None
        last[id(frame)] = frame.f_lineno if frame.f_lasti > 0 else 0
        return local

    before = sys.gettrace()
    sys.settrace(called)
    try:
        check(data)
    finally:
        sys.settrace(before)
    return {(*step, count.bit_length()) for step, count in counts.items()}
