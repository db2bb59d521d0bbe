"""Who may connect: what the application is asked, what is made of its answers, and who is behind a proxy."""

from __future__ import annotations

import asyncio
import unittest
from collections.abc import Coroutine
from typing import Any, Optional

from helpers import logs

from ws4py.exc import HTTPError
from ws4py.handshake import Accepted, Refused
from ws4py.http11 import Address, Headers, Request, Response
from ws4py.limits import DEFAULT_LIMITS, Limits
from ws4py.policy import Policy, failure, parse_address

UPGRADE = [
    ('Host', 'server.example.com'),
    ('Upgrade', 'websocket'),
    ('Connection', 'Upgrade'),
    ('Sec-WebSocket-Key', 'dGhlIHNhbXBsZSBub25jZQ=='),
    ('Sec-WebSocket-Version', '13'),
]
PEER = ('192.0.2.1', 50_000)


def a_request(*headers: tuple[str, str], peer: Address = PEER, secure: bool = False, target: str = '/chat') -> Request:
    return Request('GET', target, (1, 1), Headers([*UPGRADE, *headers]), peer, secure)


def in_loop(coroutine: Coroutine[Any, Any, Any]) -> Any:
    """What a coroutine returns that waits for nothing but a turn of the loop."""
    return asyncio.run(coroutine)


class Decisions(unittest.TestCase):
    def decide(self, policy: Policy, request: Optional[Request] = None) -> Any:
        """What is decided, which is the same for who awaits it."""
        decision = policy.decide(request or a_request())
        self.assertEqual(in_loop(policy.decide_async(request or a_request())), decision)
        return decision

    def refused(self, status: int, text: str, policy: Policy, request: Optional[Request] = None) -> Refused:
        answer = self.decide(policy, request)
        self.assertIsInstance(answer, Refused)
        self.assertEqual(answer.status, status)
        self.assertIn(text, answer.body.decode())
        return answer  # type: ignore[no-any-return]

    def accepted(self, policy: Policy, request: Optional[Request] = None) -> Accepted:
        answer = self.decide(policy, request)
        self.assertIsInstance(answer, Accepted)
        return answer  # type: ignore[no-any-return]

    def test_nothing_asked_for(self) -> None:
        self.assertEqual(self.accepted(Policy()).protocols, [])
        self.refused(400, 'HTTP_UPGRADE', Policy(), Request('GET', '/', (1, 1), Headers()))

    def test_what_goes_to_the_handshake(self) -> None:
        request = a_request(('Sec-WebSocket-Protocol', 'b, a'), ('Sec-WebSocket-Extensions', 'x'))
        answer = self.accepted(Policy(['a', 'b'], ['x']), request)
        self.assertEqual((answer.protocols, answer.extensions), (['b'], ['x']))
        self.refused(426, 'expected 13', Policy(version=(8,)))
        self.refused(400, "one of ['c']", Policy(['c']), request)

    def test_origins(self) -> None:
        policy = Policy(origins=['https://Example.com', 'http://localhost:8000'])
        for origin in ('https://example.com', 'HTTPS://EXAMPLE.com', 'http://localhost:8000'):
            self.accepted(policy, a_request(('Origin', origin)))
        self.accepted(policy)
        with logs() as records:
            policy.decide(a_request(('Origin', 'null')))
        self.assertIn("('192.0.2.1', 50000) refused with 403, Origin is 'null'", records[0].getMessage())
        for origin in ('http://example.com', 'https://example.com:8443', 'https://a.example.com', 'null', ''):
            self.refused(403, 'Origin is', policy, a_request(('Origin', origin)))
        self.accepted(Policy(origins=['null']), a_request(('Origin', 'null')))
        self.accepted(Policy(), a_request(('Origin', 'null')))

    def test_select_subprotocol(self) -> None:
        seen = []

        def select(request: Request, offered: list[str]) -> Optional[str]:
            seen.append((request.target, list(offered)))
            return offered.pop() if offered else None

        policy = Policy(['a'], select_subprotocol=select)
        answer = self.accepted(policy, a_request(('Sec-WebSocket-Protocol', 'b, c')))
        self.assertEqual((answer.protocols, answer.headers[-1]), (['c'], ('Sec-WebSocket-Protocol', 'c')))
        self.assertEqual(self.accepted(policy).protocols, [])
        self.assertEqual(seen[1:3], [('/chat', ['b', 'c']), ('/chat', [])])

    def test_what_select_subprotocol_does_wrong(self) -> None:
        def refuse(request: Request, offered: list[str]) -> str:
            raise HTTPError(403, 'not with these')

        self.refused(403, 'not with these', Policy(select_subprotocol=refuse))
        for wrong in (lambda request, offered: 'a', lambda request, offered: 1 / 0):
            with logs() as records:
                answer = self.refused(500, 'the server has failed', Policy(select_subprotocol=wrong))
            self.assertEqual(answer.body, b'the server has failed\n')
            self.assertTrue(records[0].exc_info)

    def test_process_request(self) -> None:
        asked = []

        def process_request(request: Request) -> None:
            asked.append(request)

        request = a_request()
        self.accepted(Policy(process_request=process_request), request)
        self.assertEqual((len(asked), asked[0]), (2, request))

        async def later(request: Request) -> None:
            await asyncio.sleep(0)
            asked.append(request)

        self.assertIsInstance(in_loop(Policy(process_request=later).decide_async(request)), Accepted)
        self.assertEqual(len(asked), 3)

    def test_an_answer_of_the_application(self) -> None:
        headers = [('Set-Cookie', 'a=1'), ('Set-Cookie', 'b=2'), ('Content-Type', 'text/html')]
        page = Response(200, headers=Headers(headers), body=b'<p>')
        answer = self.refused(200, '<p>', Policy(process_request=lambda request: page))
        self.assertEqual(answer.headers, [*headers, ('Connection', 'close'), ('Content-Length', '3')])
        self.assertEqual((answer.status_line, answer.phrase), ('200 OK', 'OK'))
        self.assertTrue(answer.build().endswith(b'\r\n\r\n<p>'))
        self.assertTrue(answer.build('HEAD').endswith(b'3\r\n\r\n'))
        other = Response(299, 'Fine', headers=Headers([('Connection', 'keep-alive')]))
        answer = self.refused(299, '', Policy(process_request=lambda request: other))
        self.assertEqual(answer.status_line, '299 Fine')
        self.assertIn(('Connection', 'close'), answer.headers)
        self.assertEqual(self.refused(599, '', Policy(process_request=lambda r: Response(599))).status_line, '599 ')

    def test_what_process_request_does_wrong(self) -> None:
        def refuse(request: Request) -> None:
            raise HTTPError(451, 'a secret service forbids it')

        self.refused(451, 'secret service', Policy(process_request=refuse))
        wrong: list[Any] = [lambda request: 1 / 0, lambda request: False, lambda request: 'text']
        wrong += [lambda request, status=status: Response(status) for status in (101, 199, 600)]
        wrong += [lambda request: Response(200, 'two\nlines'), lambda request: Response(200, body='text')]
        for hook in wrong:
            with self.subTest(hook=hook), logs() as records:
                answer = self.refused(500, 'the server has failed', Policy(process_request=hook))
                self.assertEqual(answer.body, b'the server has failed\n')
                self.assertIn("a request of ('192.0.2.1', 50000)", records[0].getMessage())
                self.assertTrue(records[0].exc_info)

    def test_a_coroutine_where_nobody_awaits_it(self) -> None:
        async def process_request(request: Request) -> None:
            raise AssertionError('it is never begun')

        class Later:
            def __await__(self) -> Any:
                raise AssertionError('nor is this')

        for hook in (process_request, lambda request: Later()):
            with logs() as records:
                answer = Policy(process_request=hook).decide(a_request())  # and no warning that it was not awaited
            self.assertEqual(answer.status, 500)
            self.assertIn('only asyncio and Tornado', str(records[0].exc_info))

    def test_several_hooks_are_asked_until_one_answers(self) -> None:
        calls = []

        def hook(name: str, answer: Optional[Response] = None) -> Any:
            def ask(request: Request) -> Optional[Response]:
                calls.append(name)
                return answer

            return ask

        def later(name: str, answer: Optional[Response] = None) -> Any:
            async def ask(request: Request) -> Optional[Response]:
                await asyncio.sleep(0)
                calls.append(name)
                return answer

            return ask

        no = Response(403)
        self.accepted(Policy(process_request=[]))
        self.accepted(Policy(process_request=(hook('a'), hook('b'))))
        self.assertEqual(calls, ['a', 'b'] * 2)
        for hooks, expected, status in (
            ((hook('a'), hook('b', no), hook('c')), ['a', 'b'], 403),
            ((hook('a'), later('b'), hook('c'), later('d')), ['a', 'b', 'c', 'd'], 101),
            ((later('a'), hook('b', no), later('c')), ['a', 'b'], 403),
            ((later('a'), later('b', no), later('c')), ['a', 'b'], 403),
            ((later('a', no), hook('b')), ['a'], 403),
        ):
            calls.clear()
            answer = in_loop(Policy(process_request=hooks).decide_async(a_request()))
            self.assertEqual((calls, answer.status), (expected, status))

    def test_limits(self) -> None:
        limits = Limits(headers=7)
        self.assertIs(Policy(limits=limits).bounds, limits)
        self.assertIs(Policy().bounds, DEFAULT_LIMITS)

    def test_what_cannot_be_a_policy(self) -> None:
        self.assertRaisesRegex(TypeError, "origins is 'https://a'", Policy, origins='https://a')
        self.assertRaisesRegex(TypeError, "trusted_proxies is 'unix'", Policy, trusted_proxies='unix')
        for name in ('localhost', '10.0.0.1/8', '', '10.0.0.0/33'):
            self.assertRaises(ValueError, Policy, trusted_proxies=[name])

    def test_failures(self) -> None:
        with logs() as records:
            self.assertEqual(failure(HTTPError(403, 'no'), PEER).body, b'no\n')
            self.assertEqual(failure(ZeroDivisionError('a detail')).body, b'the server has failed\n')
        self.assertEqual([record.levelname for record in records], ['INFO', 'ERROR'])


class Proxies(unittest.TestCase):
    trusted = ('192.0.2.1', '10.0.0.0/8', '2001:db8::/32', 'unix')

    def resolve(self, *headers: tuple[str, str], peer: Address = PEER, secure: bool = False) -> Request:
        request = a_request(*headers, peer=peer, secure=secure)
        return Policy(trusted_proxies=self.trusted).resolve(request)

    def test_the_client_is_the_first_from_the_right_that_is_no_proxy(self) -> None:
        for forwarded, expected in (
            ('198.51.100.7', ('198.51.100.7', 0)),
            ('198.51.100.7:4711', ('198.51.100.7', 4711)),
            ('1.1.1.1, 198.51.100.7', ('198.51.100.7', 0)),
            ('198.51.100.7, 10.1.2.3,10.0.0.1', ('198.51.100.7', 0)),
            ('10.0.0.9, 10.0.0.1', ('10.0.0.9', 0)),
            ('2001:DB9::1', ('2001:db9::1', 0)),
            ('[2001:db9::1]', ('2001:db9::1', 0)),
            ('[2001:db9::1]:80, 2001:db8::5', ('2001:db9::1', 80)),
            ('::ffff:198.51.100.7', ('198.51.100.7', 0)),
            ('198.51.100.7, ::ffff:10.0.0.1', ('198.51.100.7', 0)),
            (', ,198.51.100.7,', ('198.51.100.7', 0)),
        ):
            with self.subTest(forwarded=forwarded), logs() as records:
                request = self.resolve(('X-Forwarded-For', forwarded))
                self.assertEqual(request.peer_address, expected)
                self.assertEqual(
                    request.environ,
                    {
                        'REMOTE_ADDR': expected[0],
                        'REMOTE_PORT': str(expected[1] or ''),
                        'ws4py.peer_address': expected,
                    },
                )
                self.assertEqual(records, [])

    def test_several_lines_are_one_list(self) -> None:
        lines = [
            ('X-Forwarded-For', '198.51.100.7'),
            ('X-Forwarded-For', '198.51.100.8'),
            ('X-Forwarded-For', '10.0.0.1'),
        ]
        self.assertEqual(self.resolve(*lines).peer_address, ('198.51.100.8', 0))

    def test_garbage_is_logged_and_what_is_left_of_it_is_not_believed(self) -> None:
        for forwarded, expected in (
            ('unknown', PEER),
            ('198.51.100.7, unknown', PEER),
            ('198.51.100.7, 1.2.3', PEER),
            ('198.51.100.7, 10.0.0.1:x', PEER),
            ('198.51.100.7, [::1', PEER),
            ('198.51.100.7, "10.0.0.1"', PEER),
            ('198.51.100.7, garbage, 10.0.0.1', ('10.0.0.1', 0)),
            ('a' * 8000, PEER),
        ):
            with self.subTest(forwarded=forwarded), logs() as records:
                self.assertEqual(self.resolve(('X-Forwarded-For', forwarded)).peer_address, expected)
                (record,) = records
                self.assertIn('X-Forwarded-For', record.getMessage())
                self.assertLess(len(record.getMessage()), 200)

    def test_who_is_not_trusted_may_say_what_he_likes(self) -> None:
        said = (('X-Forwarded-For', '127.0.0.1'), ('X-Forwarded-Proto', 'https'))
        for peer in (('192.0.2.2', 1), ('2001:db9::1', 1), ('not an address', 1), None):
            request = a_request(*said, peer=peer)
            self.assertIs(Policy(trusted_proxies=self.trusted).resolve(request), request)
        for peer in (PEER, '', None):
            request = a_request(*said, peer=peer)
            self.assertIs(Policy().resolve(request), request)
            self.assertIs(Policy(trusted_proxies=['10.0.0.1']).resolve(request), request)

    def test_who_is_trusted(self) -> None:
        for peer in (PEER, ('10.9.9.9', 1), ('::ffff:10.9.9.9', 1), ('2001:db8::1', 1), '', '/run/sock', b'\0abstract'):
            request = self.resolve(('X-Forwarded-For', '198.51.100.7'), peer=peer)
            self.assertEqual(request.peer_address, ('198.51.100.7', 0), peer)

    def test_a_proxy_that_says_nothing(self) -> None:
        for peer in (PEER, ''):
            request = self.resolve(peer=peer)
            self.assertEqual((request.peer_address, request.secure, request.environ), (peer, False, {}))

    def test_the_scheme(self) -> None:
        for scheme, before, after in (
            ('https', False, True),
            ('WSS', False, True),
            ('http', True, False),
            ('ws', True, False),
            ('http, https', False, True),
        ):
            with self.subTest(scheme=scheme):
                request = self.resolve(('X-Forwarded-Proto', scheme), secure=before)
                url_scheme, https = ('https', 'on') if after else ('http', 'off')
                self.assertIs(request.secure, after)
                self.assertEqual(request.environ, {'wsgi.url_scheme': url_scheme, 'HTTPS': https})
                self.assertEqual(request.peer_address, PEER)
        for scheme in ('gopher', 'https, ftp', 'a' * 8000):
            with logs() as records:
                request = self.resolve(('X-Forwarded-Proto', scheme), secure=True)
            self.assertEqual((request.secure, request.environ), (True, {}))
            self.assertIn('X-Forwarded-Proto', records[0].getMessage())

    def test_what_was_in_the_environ_stays(self) -> None:
        request = a_request(('X-Forwarded-Proto', 'https'))
        request.environ['mine'] = 1
        resolved = Policy(trusted_proxies=self.trusted).resolve(request)
        self.assertEqual((resolved.environ['mine'], request.environ), (1, {'mine': 1}))

    def test_networks_may_be_objects_too(self) -> None:
        import ipaddress

        policy = Policy(trusted_proxies={ipaddress.ip_network('192.0.2.0/24')})
        self.assertEqual(policy.resolve(a_request(('X-Forwarded-For', '::1'))).peer_address, ('::1', 0))

    def test_addresses(self) -> None:
        self.assertEqual(str(parse_address('::FFFF:1.2.3.4')), '1.2.3.4')
        self.assertEqual(str(parse_address('FE80::1')), 'fe80::1')
        self.assertIsNone(parse_address('1.2.3'))


if __name__ == '__main__':
    unittest.main()
