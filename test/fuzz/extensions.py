"""The target `extensions`: the lists in the headers of a handshake, and what is agreed on by them."""

from __future__ import annotations

from typing import Optional

from ws4py.exc import HandshakeError
from ws4py.extensions import accept, agree, offer
from ws4py.extensions import check as configured
from ws4py.http11 import build_extensions, build_token_list, parse_extensions, parse_token_list, split_list
from ws4py.permessage_deflate import Deflate, PerMessageDeflate

from . import plain
from .choices import Choices

BITS = (None, 8, 9, 10, 12, 15)


def check(data: bytes) -> None:
    choices = Choices(data)
    kind = choices.pick((parsed, built, tokens, offered, answered, named))
    kind(choices)


def lines_of(choices: Choices) -> list[str]:
    """A header that came in several lines."""
    return choices.rest().replace(b'\r', b'').decode('latin-1').split('\n')


def parsed(choices: Choices) -> None:
    """Lines as they came: taken or not as the grammar says, and back again."""
    lines = lines_of(choices)
    expected = plain.extensions_of(lines)
    try:
        found = parse_extensions(lines)
    except HandshakeError as error:
        assert expected is None, (error, expected)
        return
    assert found == expected, (found, expected)
    text = build_extensions(found)
    assert parse_extensions([text]) == found, text
    assert plain.extensions_of([text]) == found, text


def built(choices: Choices) -> None:
    """Names and values of an application: sent as they are, or an error before anything is."""
    extensions: list[tuple[str, list[plain.Parameter]]] = []
    for element in choices.rest().decode('latin-1').split(','):
        name, *parameters = element.split(';')
        pairs = [parameter.partition('=') for parameter in parameters]
        extensions.append((name, [(key, value if equals else None) for key, equals, value in pairs]))
    words = [word for name, rest in extensions for pair in [(name, None), *rest] for word in pair if word is not None]
    good = all(map(plain.is_token, words))
    try:
        text = build_extensions(extensions)
    except ValueError as error:
        assert not good, (error, words)
        return
    assert good, (text, words)
    assert parse_extensions([text]) == extensions, text


def tokens(choices: Choices) -> None:
    """Lists of tokens, such as subprotocols."""
    lines = lines_of(choices)
    expected = plain.elements([('name', line) for line in lines], 'name')
    assert split_list(lines) == expected
    good = all(map(plain.is_token, expected))
    try:
        found = parse_token_list(lines)
    except HandshakeError as error:
        assert not good, error
    else:
        assert good and found == expected, found
    try:
        text = build_token_list(expected)
    except ValueError as error:
        assert not good, error
    else:
        assert good and parse_token_list([text]) == expected, text


def settings_of(choices: Choices) -> PerMessageDeflate:
    return PerMessageDeflate(
        choices.pick((False, True)), choices.pick((False, True)), choices.pick(BITS), choices.pick(BITS)
    )


def offered(choices: Choices) -> None:
    """What a server answers to the offers of any client goes with one of them, and our client would take it."""
    server, client = settings_of(choices), settings_of(choices)
    also = choices.some(('x-own', 'x-other'))
    lines = lines_of(choices)
    ours = offer([client, *also])
    for offers in (lines, [ours]):
        elements = plain.extensions_of(offers)
        if elements is None:
            continue
        answers, codecs = accept(parse_extensions(offers), [*also, server])
        known = {plain.DEFLATE, *also}
        acceptable = [name for name, rest in elements if name != plain.DEFLATE or plain.deflate_terms(rest)]
        names = [name for name in dict.fromkeys(acceptable) if name in known]
        assert [name for name, _ in answers] == names, (answers, names)
        assert len(codecs) == (plain.DEFLATE in names)
        for name, parameters in answers:
            if name != plain.DEFLATE:
                assert parameters == []
                continue
            terms = plain.deflate_terms(parameters, answer=True)
            asked = next(
                found
                for found in (plain.deflate_terms(rest) for name, rest in elements if name == plain.DEFLATE)
                if found
            )
            assert terms is not None, parameters
            goes_with(terms, asked)
            assert server.server_no_context_takeover <= terms.server_alone, (server, terms)
            assert server.client_no_context_takeover <= terms.client_alone, (server, terms)
            assert (terms.server_bits or 15) <= (server.server_max_window_bits or 15)
    # With our own client: both ends do the same.
    mine = agree(parse_extensions([build_extensions(answers)]), [*also, client])
    assert len(mine) == len(codecs) == 1
    mirrored(codecs[0], mine[0])


def goes_with(terms: plain.Terms, asked: plain.Terms) -> None:
    """RFC 7692 section 7.1: what an answer must and must not have, after the offer that it accepts."""
    assert terms.server_alone or not asked.server_alone
    if asked.server_bits is not None:
        assert terms.server_bits is not None and terms.server_bits <= asked.server_bits
    if terms.client_bits is not None:
        assert asked.client_bits_named and terms.client_bits <= (asked.client_bits or 15)


def mirrored(server: object, client: object) -> None:
    """No end refers to more than the other one keeps."""
    assert isinstance(server, Deflate) and isinstance(client, Deflate)
    for sender, receiver in ((server, client), (client, server)):
        assert sender._bits <= receiver._peer_bits, (server, client)
        assert sender._alone or not receiver._peer_alone, (server, client)


def answered(choices: Choices) -> None:
    """Our client believes an answer if and only if it goes with what it offered."""
    client = settings_of(choices)
    also = choices.some(('x-own', 'x-other'))
    lines = lines_of(choices)
    answers = plain.extensions_of(lines)
    if answers is None:
        return
    names = [name for name, _ in answers]
    good = len(set(names)) == len(names) and set(names) <= {plain.DEFLATE, *also}
    terms: Optional[plain.Terms] = None
    for name, parameters in answers:
        if name == plain.DEFLATE:
            terms = plain.deflate_terms(parameters, answer=True)
            good = good and terms is not None
            if terms is not None:
                good = good and terms.server_alone >= client.server_no_context_takeover
                most = client.server_max_window_bits
                good = good and (most is None or (terms.server_bits is not None and terms.server_bits <= most))
                good = good and (terms.client_bits or 8) <= (client.client_max_window_bits or 15)
    try:
        codecs = agree(parse_extensions(lines), [*also, client])
    except HandshakeError as error:
        assert not good, (error, answers)
        return
    assert good, answers
    assert len(codecs) == (terms is not None)
    if terms is not None:
        (codec,) = codecs
        assert isinstance(codec, Deflate)
        assert codec._bits <= (terms.client_bits or 15) and (codec._alone or not terms.client_alone)
        assert codec._peer_bits >= (terms.server_bits or 15) and (terms.server_alone or not codec._peer_alone)


def named(choices: Choices) -> None:
    """What an application writes as the name of an extension, perhaps with parameters."""
    text = choices.rest().decode('latin-1')
    known = plain.extensions_of([text])
    good = known is not None and len(known) == 1
    if known is not None and good and known[0][0] == plain.DEFLATE:
        good = plain.deflate_terms(known[0][1]) is not None
    for item in (text, text.encode('latin-1')):
        try:
            (found,) = configured([item])
        except ValueError as error:
            assert not good, error
            continue
        assert good, found
        assert plain.extensions_of([offer([item])]) == (
            known if isinstance(found, str) else [(plain.DEFLATE, parameters) for parameters in found.offers()]
        )
