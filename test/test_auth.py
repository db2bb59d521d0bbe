"""Basic authentication: who is let in, what the others are told, and that it takes as long for one as for another."""

from __future__ import annotations

import asyncio
import base64
import hmac
import unittest
from typing import Any, Optional
from unittest import mock

from ws4py import auth
from ws4py.auth import basic_auth
from ws4py.http11 import Headers, Request, Response

# RFC 7617 sections 2 and 2.1
ALADDIN = 'QWxhZGRpbjpvcGVuIHNlc2FtZQ=='
POUND = 'dGVzdDoxMjPCow=='
USERS = {'Aladdin': 'open sesame', 'test': '123£', 'no one': ''}


def a_request(*authorization: str) -> Request:
    return Request('GET', '/', (1, 1), Headers(('Authorization', value) for value in authorization))


def basic(text: str, encoding: str = 'utf-8') -> str:
    return 'Basic ' + base64.b64encode(text.encode(encoding)).decode()


class BasicAuthTest(unittest.TestCase):
    def assert_in(self, name: str, *authorization: str, users: Any = USERS) -> None:
        request = a_request(*authorization)
        self.assertIsNone(basic_auth(users)(request))
        self.assertEqual(request.environ, {'REMOTE_USER': name, 'AUTH_TYPE': 'Basic'})

    def assert_out(self, *authorization: str, users: Any = USERS) -> Response:
        request = a_request(*authorization)
        answer = basic_auth(users)(request)
        assert isinstance(answer, Response)
        self.assertEqual((answer.status, request.environ), (401, {}))
        self.assertEqual(answer.headers['WWW-Authenticate'], 'Basic realm="websocket", charset="UTF-8"')
        return answer

    def test_the_examples_of_the_rfc(self) -> None:
        self.assert_in('Aladdin', f'Basic {ALADDIN}')
        self.assert_in('test', f'Basic {POUND}')

    def test_who_is_let_in(self) -> None:
        self.assert_in('Aladdin', f'bAsIc   {ALADDIN}')
        self.assert_in('no one', basic('no one:'))
        self.assert_in('a', basic('a:b:c'), users={'a': 'b:c'})
        self.assert_in('ужин', basic('ужин:日本'), users={'ужин': '日本'})

    def test_who_is_not(self) -> None:
        answers = set()
        for header in (
            basic('Aladdin:Open Sesame'),
            basic('Aladdin:'),
            basic('aladdin:open sesame'),
            basic('nobody:open sesame'),
            basic(':open sesame'),
            basic(':'),
            basic('Aladdin'),
            basic('test:123£', 'latin-1'),
            basic('Aladdin:open sesame\n'),
            basic('\0Aladdin:open sesame'),
            f'Bearer {ALADDIN}',
            f'Basic{ALADDIN}',
            f'Basic {ALADDIN[:-1]}',
            f'Basic {ALADDIN}=',
            f'Basic {ALADDIN} ',
            f'Basic {ALADDIN},Basic {ALADDIN}',
            f'Basic "{ALADDIN}"',
            'Basic',
            'Basic ',
            '',
        ):
            with self.subTest(header=header):
                # Headers takes white space around a value away, a WSGI server need not.
                request = Request('GET', '/', (1, 1), mock.Mock(get_all=lambda name, value=header: [value]))
                answer = basic_auth(USERS)(request)
                assert isinstance(answer, Response)
                self.assertEqual(request.environ, {})
                answers.add(answer.build())
        answers.add(self.assert_out().build())
        self.assertEqual(len(answers), 1)

    def test_two_headers(self) -> None:
        self.assert_out(f'Basic {ALADDIN}', f'Basic {ALADDIN}')

    def test_a_bound(self) -> None:
        longest = auth.MAX_SIZE - len('Basic ') - 4
        password = 'p' * (longest // 4 * 3 - 2)
        self.assert_in('u', basic(f'u:{password}'), users={'u': password})
        self.assert_out(basic(f'u:{password}' + 'p' * 6), users={'u': password + 'p' * 6})

    def test_passwords_may_change(self) -> None:
        users = {'a': 'b'}
        hook = basic_auth(users)
        self.assertIsNone(hook(a_request(basic('a:b'))))
        users['a'] = 'c'
        self.assertIsNotNone(hook(a_request(basic('a:b'))))

    def test_every_comparison_is_of_equal_length_and_made(self) -> None:
        for credentials in ('Aladdin:open sesame', 'Aladdin:', 'nobody:x', 'nobody:' + 'x' * 1000):
            with mock.patch.object(hmac, 'compare_digest', wraps=hmac.compare_digest) as compare:
                basic_auth(USERS)(a_request(basic(credentials)))
            ((given, expected),) = [call.args for call in compare.call_args_list]
            self.assertEqual((len(given), len(expected)), (32, 32))

    def test_a_function_decides(self) -> None:
        asked = []

        def check(name: str, password: str) -> bool:
            asked.append((name, password))
            return password == 'right'

        self.assert_in('a', basic('a:right'), users=check)
        self.assert_out(basic('a:wrong'), users=check)
        self.assert_out('Basic x', users=check)
        self.assertEqual(asked, [('a', 'right'), ('a', 'wrong')])

    def test_a_coroutine_function_decides(self) -> None:
        async def check(name: str, password: str) -> bool:
            await asyncio.sleep(0)
            return password == 'right'

        def ask(header: str) -> tuple[Optional[Response], dict[str, Any]]:
            async def wait() -> Optional[Response]:
                answer: Any = hook(request)
                return await answer  # type: ignore[no-any-return]

            request, hook = a_request(header), basic_auth(check)
            return asyncio.run(wait()), request.environ

        self.assertEqual(ask(basic('a:right')), (None, {'REMOTE_USER': 'a', 'AUTH_TYPE': 'Basic'}))
        answer, environ = ask(basic('a:wrong'))
        self.assertEqual((answer and answer.status, environ), (401, {}))

    def test_the_realm(self) -> None:
        answer: Any = basic_auth({}, realm='the "inner" \\ circle')(a_request())
        expected = 'Basic realm="the \\"inner\\" \\\\ circle", charset="UTF-8"'
        self.assertEqual(answer.headers['WWW-Authenticate'], expected)
        self.assertRaises(ValueError, basic_auth, {}, realm='two\r\nlines')


if __name__ == '__main__':
    unittest.main()
