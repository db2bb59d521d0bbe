"""What the targets do not reach, place by place, and why.

A key is ``module: function`` or ``module: function: line -> next line``, with the lines as they stand in the source;
:mod:`fuzz.reach` fails on a place that is not here, and on one that is here and was reached or has gone.
"""

from __future__ import annotations

#: Functions that no byte of a peer leads to; in no target's scope.
OUTSIDE = {
    'http11: Headers.__len__': 'for applications',
    'http11: Headers.__repr__': 'for people',
    'handshake: generate_key': "makes the client's own key; test_security says from what",
    'closecode: cut_reason': 'cuts what an application says, a peer can say no more',
    'streaming: _through': 'only with two extensions, of which we have one; test_streaming has another',
    'masking: new_key': 'makes the keys of our own frames; test_security says from what',
    'masking: _best_mask': 'runs when the module is imported',
    'masking: _wsaccel_mask': 'the same',
    'masking: _wsaccel_mask.mask_wsaccel': 'only where wsaccel is installed; test_masking compares the two',
}

_PARSED = 'what was parsed can be built'
_TYPES = 'what an application does wrong; a peer sends nothing but bytes'
_PLAIN = 'no extension is in this target; inflate has one'

UNREACHABLE: dict[str, dict[str, str]] = {
    'head': {
        'http11: Headers.__iter__: return iter(self.items())': 'for applications',
        'http11: Request.build: if not _TOKEN.fullmatch(self.method): -> raise ValueError('
        "f'{show(self.method)} is not a request method (expected a token)')": _PARSED,
        'http11: Request.build: if not _TARGET.fullmatch(self.target): -> raise ValueError('
        "f'{show(self.target)} is not a request target (expected visible ASCII characters)')": _PARSED,
        'http11: parse_fields: if len(rest) > limits.head_size: -> raise HTTPError('
        "431, f'headers of {len(rest)} bytes, {limits.head_size} are allowed')": 'the reader has stopped before',
        'handshake: _select_protocols: if name is not None and name not in offered: -> raise ValueError('
        "f'select_subprotocol gave {name!r} (expected one of {offered}, or None)')": _TYPES,
    },
    'extensions': {
        'extensions: agree: if codec.reserved & reserved_bits(codecs): -> raise HandshakeError('
        "f'the extension {name!r} uses a reserved bit that another one uses already')": 'one extension uses a bit here',
        'extensions: reserved_bits: for codec in codecs: -> bits |= codec.reserved': 'the same',
        'permessage_deflate: PerMessageDeflate.__post_init__: if value is not None and not least <= value <= most: -> '
        "raise ValueError(f'{name} is {value!r} (expected {least} to {most})')": _TYPES,
        'permessage_deflate: PerMessageDeflate.__post_init__: if self.threshold < 0: -> '
        "raise ValueError(f'threshold is {self.threshold!r} (expected a number of bytes)')": _TYPES,
    },
    'stream': {
        'closecode: build: if not is_sendable(code): -> raise ValueError('
        "f'close code {code} may not be sent (1000-1003, 1007-1014 and 3000-4999 may)')": 'it is asked before',
        'framing: as_bytes: if isinstance(data, (bytes, bytearray, memoryview)): -> '
        "raise ProtocolException(f'frames are made of bytes, not of {type(data).__name__}')": _TYPES,
        'framing: Frame.__init__: if not isinstance(body, bytes): -> '
        "raise TypeError(f'the body of a frame is bytes, not {type(body).__name__}')": _TYPES,
        "framing: Frame.build: if self.fin > 1: -> raise ValueError(f'fin is 0 or 1, not {self.fin}')": _TYPES,
        'framing: Frame.build: if self.opcode not in OPCODES: -> '
        "raise ValueError(f'opcode {self.opcode} is reserved')": _PARSED,
        'framing: Frame.build: if self.payload_length >= MAX_LENGTH: -> raise FrameTooLargeException('
        "f'a payload of {self.payload_length} bytes does not fit into a frame')": _PARSED,
        'masking: _checked: if len(key) != 4: -> '
        "raise ValueError(f'a masking key has 4 bytes, not {len(key)}')": _TYPES,
        'streaming: Stream._whole_frame: if self._decoding and first & FIN: -> '
        'self._decode(payload, final=True)': _PLAIN,
        'streaming: Stream._begin: if self._codecs: -> active = '
        '[codec for codec in self._codecs if first & codec.reserved or not codec.reserved]': _PLAIN,
        'streaming: Stream._add: if self._decoding: -> self._decode(payload, final=False)': _PLAIN,
        "streaming: Stream._end: if self._decoding: -> self._decode(b'', final=True)": _PLAIN,
    },
    'response': {
        'http11: parse_fields: if len(rest) > limits.head_size: -> raise HTTPError('
        "431, f'headers of {len(rest)} bytes, {limits.head_size} are allowed')": 'the reader has stopped before',
        'http11: Response.complete: if not _STATUS.fullmatch(str(self.status)): -> '
        "raise ValueError(f'{self.status!r} is not a status (expected 100 to 999)')": _PARSED,
        'http11: Response.complete: if _NOT_IN_VALUE.search(self.phrase): -> raise ValueError('
        "f'{show(self.phrase)} is not a reason phrase (expected printable characters)')": _PARSED,
    },
    'inflate': {
        'extensions: SharedMessage.plain: return self.frame((), False)': 'an extension is in this target',
        'streaming: Stream._decode: for codec in others: -> '
        'pieces = _through(codec, pieces, final)': 'there is only one',
        'streaming: Stream._begin: if self._codecs: -> the end': 'an extension is in this target; stream has none',
    },
}
