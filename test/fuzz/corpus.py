"""The corpus of a target: inputs that reach what no smaller one does, in a file of text with a bytes literal a line."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterable
from pathlib import Path
from types import FrameType
from typing import Any, Callable, Optional

DIRECTORY = Path(__file__).resolve().parent / 'corpus'
PACKAGE = str(Path(__file__).resolve().parents[2] / 'ws4py')
MOST = 300  # inputs that are kept for a target

Feature = tuple[str, int, int, int]


def load(name: str) -> list[bytes]:
    return read(DIRECTORY / f'{name}.txt')


def save(name: str, inputs: Iterable[bytes]) -> None:
    write(DIRECTORY / f'{name}.txt', sorted(set(inputs), key=lambda data: (len(data), data)))


def read(path: Path) -> list[bytes]:
    return [ast.literal_eval(line) for line in path.read_text('ascii').splitlines()]


def write(path: Path, inputs: Iterable[bytes]) -> None:
    path.write_text(''.join(f'{data!r}\n' for data in inputs), 'ascii')


def minimised(check: Callable[[bytes], None], inputs: Iterable[bytes]) -> list[bytes]:
    """Those of *inputs* that do something in ws4py which no smaller one does: a step from one line to another, so
    many times (in powers of two). All must pass *check*."""
    kept: list[bytes] = []
    steps: set[tuple[str, int, int]] = set()
    seen: set[Feature] = set()
    more: list[bytes] = []
    for data in sorted(set(inputs), key=lambda data: (len(data), data)):
        features = traced(check, data)
        new = {feature[:3] for feature in features} - steps
        if new:
            steps |= new
            seen |= features
            kept.append(data)
        else:
            more.append(data)
    for data in more:  # how often comes after what
        if len(kept) >= MOST:
            break
        features = traced(check, data)
        if not features <= seen:
            seen |= features
            kept.append(data)
    return kept


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
        if not frame.f_code.co_filename.startswith(PACKAGE):
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
