"""The targets in a table: what each one checks, what of ws4py it is meant to reach, and how long an input may be."""

from __future__ import annotations

from typing import Callable, NamedTuple

from . import differential, extensions, head, inflate, response, stream


class Target(NamedTuple):
    """One target.

    :ivar check: takes bytes; raises AssertionError, or what ws4py should not have raised.
    :ivar scope: the functions whose branches are counted, as patterns of ``module: function`` (:mod:`fuzz.reach`);
        none for a comparison.
    :ivar longest: bytes of an input that the engine makes up.
    """

    check: Callable[[bytes], None]
    scope: tuple[str, ...]
    longest: int = 700

    @property
    def modules(self) -> list[str]:
        """The modules of the scope."""
        return sorted({pattern.partition(':')[0] for pattern in self.scope})


HEADERS = (
    'http11: Headers.__init__',
    'http11: Headers.add',
    'http11: Headers.*get_all',
    'http11: Headers.items',
    'http11: Headers.__contains__',
    'http11: _split_head',
    'http11: parse_fields',
    'http11: parse_version',
)
LISTS = ('http11: split_list', 'http11: parse_token_list')

TARGETS = {
    'head': Target(
        head.check,
        (
            *HEADERS,
            *LISTS,
            'http11: Headers.*',
            'http11: head_reader',
            'http11: show',
            'http11: Request.*',
            'http11: _build_head',
            'http11: _build_version',
            'handshake: accept_key',
            'handshake: Accepted.*',
            'handshake: Refused.*',
            'handshake: refuse',
            'handshake: respond',
            'handshake: request_from_environ',
            'handshake: environ_of',
            'handshake: split_target',
            'handshake: _check_request',
            'handshake: _select_protocols',
            'handshake: _elements',
            'handshake: _only',
            'handshake: _not_defined',
            'handshake: _unexpected',
            'handshake: _status_line',
            'policy: Policy.resolve',
            'policy: Policy._forwarded_for',
            'policy: Policy._trusts',
            'policy: parse_address',
            'policy: _log_garbage',
            'auth: _credentials',
        ),
    ),
    'extensions': Target(
        extensions.check,
        (
            *LISTS,
            'http11: build_token_list',
            'http11: *_extension*',
            'http11: _build_part',
            'http11: _check_token',
            'extensions: check',
            'extensions: _known',
            'extensions: _by_name',
            'extensions: _complete',
            'extensions: offer',
            'extensions: accept',
            'extensions: agree',
            'extensions: reserved_bits',
            'permessage_deflate: PerMessageDeflate.*',
            'permessage_deflate: _Terms.*',
        ),
        longest=300,
    ),
    'stream': Target(
        stream.check,
        (
            'streaming: Stream.[!_c]*',
            'streaming: Stream.close',
            'streaming: Stream._[!d]*',
            'framing: *',
            'closecode: is_sendable',
            'closecode: build',
            'closecode: parse',
            'masking: _checked',
            'masking: _table',
            'masking: _mask_*',
            'masking: mask_*python',
            'masking: rotate',
            'utf8validator: *',
        ),
        longest=400,
    ),
    'inflate': Target(
        inflate.check,
        (
            'permessage_deflate: Deflate.*',
            'permessage_deflate: _without_tail',
            'extensions: whole_frame',
            'extensions: Encoder.*',
            'extensions: SharedMessage.*',
            'streaming: Stream._[!f]*',
            'streaming: Stream.codecs',
        ),
        longest=300,
    ),
    'response': Target(
        response.check,
        (
            *HEADERS,
            'http11: Response.*',
            'handshake: response_reader',
            'handshake: check_response',
            'handshake: _log_unasked',
            'client/__init__: WebSocketBaseClient._expect_response',
            'client/__init__: WebSocketBaseClient._feed_response',
            'client/__init__: WebSocketBaseClient.process_*',
            'client/__init__: broken_off',
        ),
    ),
    'differential': Target(differential.check, (), longest=400),
}
