"""What a client sends of its cookies, and what it believes of those that a server sets."""

from __future__ import annotations

import copy
import random
import subprocess
import sys
import time
import unittest
import warnings
from http.cookiejar import CookieJar, DefaultCookiePolicy, LWPCookieJar
from typing import Any, Optional

from ws4py.cookies import LONGEST, MOST, Cookies
from ws4py.exc import HTTPError
from ws4py.limits import DEFAULT_LIMITS, Limits

URL = 'http://www.example.test/chat/room'


def answer(*cookies: str, status: str = '101 Switching Protocols') -> bytes:
    lines = [f'HTTP/1.1 {status}', *(f'Set-Cookie: {cookie}' for cookie in cookies)]
    return ''.join(f'{line}\r\n' for line in [*lines, '']).encode('latin-1')


def held(jar: CookieJar) -> list[tuple[str, str, str, Optional[str]]]:
    return sorted((cookie.domain, cookie.path, cookie.name, cookie.value) for cookie in jar)


class MappingTest(unittest.TestCase):
    def test_none(self) -> None:
        self.assertIsNone(Cookies().header(URL))
        self.assertIsNone(Cookies({}).header(URL))

    def test_in_their_order(self) -> None:
        given = {'a': '1', '__Host-b': 'x=y', 'c': '', 'd': '"q, \\ u"'}
        cookies = Cookies(given)
        given['e'] = 'too late'
        self.assertEqual(cookies.header(URL), 'a=1; __Host-b=x=y; c=; d="q, \\ u"')

    def test_names(self) -> None:
        for name in ('', 'a b', 'a=b', 'a;b', 'a\r\n', 'a\0', 'é', '"a"', 'a,b'):
            with self.subTest(name), self.assertRaisesRegex(ValueError, 'is not a token'):
                Cookies({'fine': 'x', name: 'x'})

    def test_values(self) -> None:
        for value in ('a;b', 'a\r\nX: y', 'a\nb', 'a\0', 'a\tb', '\x7f', 'é', '€'):
            with self.subTest(value), self.assertRaisesRegex(ValueError, "cookie 'a' has the character"):
                Cookies({'a': value})
        for value in (' a', 'a ', ' '):
            with self.subTest(value), self.assertRaisesRegex(ValueError, 'white space at an end'):
                Cookies({'a': value})

    def test_a_value_is_not_shown(self) -> None:
        for value, error in (('secret;', ValueError), ('secret ', ValueError), (b'secret', TypeError)):
            with self.assertRaises(error) as caught:
                Cookies({'a': value})  # type: ignore[dict-item]
            self.assertNotIn('secret', str(caught.exception))

    def test_other_types(self) -> None:
        for given in ('a=b', [('a', 'b')], {'a': 5}, {'a': None}, {5: 'a'}, 0, False):
            with self.subTest(given), self.assertRaises(TypeError):
                Cookies(given)  # type: ignore[arg-type]

    def test_elsewhere_they_are_not_sent(self) -> None:
        cookies = Cookies({'a': '1'})
        cookies.leave('www.example.test')
        self.assertIsNone(cookies.header('http://other.test/'))
        self.assertIsNone(cookies.header(URL))

    def test_what_the_server_sets_is_nothing_to_them(self) -> None:
        cookies = Cookies({'a': '1'})
        cookies.store(URL, answer('a=2', 'b=3'), DEFAULT_LIMITS)
        self.assertEqual(cookies.header(URL), 'a=1')


class JarTest(unittest.TestCase):
    def setUp(self) -> None:
        self.jar = CookieJar()

    def store(self, *cookies: str, url: str = URL, **options: Any) -> list[tuple[str, str, str, Optional[str]]]:
        Cookies(self.jar).store(url, answer(*cookies, **options), DEFAULT_LIMITS)
        return held(self.jar)

    def sent(self, url: str = URL) -> Optional[str]:
        return Cookies(self.jar).header(url)

    def test_empty(self) -> None:
        self.assertIsNone(self.sent())
        self.assertEqual(self.store(), [])

    def test_there_and_back(self) -> None:
        self.store('a=1', 'b="x, y"; HttpOnly', 'ü= é ')
        self.assertEqual(self.sent(), 'a=1; b="x, y"; ü=é')
        (b,) = [cookie for cookie in self.jar if cookie.name == 'b']
        self.assertTrue(b.has_nonstandard_attr('HttpOnly'))

    def test_whatever_the_status(self) -> None:
        for at, status in enumerate(('101 Switching Protocols', '302 Found', '401 Unauthorized', '503 Busy')):
            self.store(f'a={at}', status=status)
            self.assertEqual(self.sent(), f'a={at}')

    def test_a_head_that_is_none(self) -> None:
        for head, limits in ((b'HTTP/1.1\r\n\r\n', DEFAULT_LIMITS), (answer('a=1', 'b=2'), Limits(headers=1))):
            with self.assertRaises(HTTPError):
                Cookies(self.jar).store(URL, head, limits)
        self.assertEqual(held(self.jar), [])

    def test_domains(self) -> None:
        for domain, expected in (
            ('', 'www.example.test'),
            ('; Domain=', 'www.example.test'),
            ('; Domain=example.test', '.example.test'),
            ('; domain = .Example.TEST', '.example.test'),
            ('; Domain=www.example.test', '.www.example.test'),
        ):
            with self.subTest(domain):
                self.jar.clear()
                self.assertEqual(self.store(f'a=1{domain}'), [(expected, '/chat', 'a', '1')])
                self.assertEqual(self.sent(), 'a=1')
                other = self.sent('http://mail.example.test/chat')
                self.assertEqual(other, 'a=1' if expected == '.example.test' else None)

    def test_domains_of_others(self) -> None:
        for domain in ('other.test', 'ample.test', 'mail.example.test', 'a.www.example.test', '..example.test', 'test'):
            with self.subTest(domain):
                self.assertEqual(self.store(f'a=1; Domain={domain}'), [])

    def test_hosts_without_a_domain(self) -> None:
        for host in ('localhost', '127.0.0.1', '[::1]'):
            url = f'http://{host}:9000/'
            for domain in ('', f'; Domain={host.strip("[]")}'):
                with self.subTest(host, domain=domain):
                    self.jar.clear()
                    self.assertEqual(len(self.store(f'a=1{domain}', url=url)), 1)
                    self.assertEqual(self.sent(url), 'a=1')
        self.jar.clear()
        self.assertEqual(self.store('a=1; Domain=0.0.1', 'a=1; Domain=1', url='http://127.0.0.1/'), [])

    def test_paths(self) -> None:
        self.store('a=1; Path=/', 'b=2; Path=/chat', 'c=3; Path=/other', 'd=4; Path=chat', 'e=5; Path')
        self.assertEqual(sorted(str(self.sent()).split('; ')), ['a=1', 'b=2', 'd=4', 'e=5'])
        self.assertEqual(self.sent('http://www.example.test/other?x=/chat'), 'c=3; a=1')

    def test_the_last_path_counts(self) -> None:
        for paths, expected in (
            ('/a; Path=/b', '/b'),
            ('/a; Path=b', '/chat'),
            ('/a; Path', '/chat'),
            ('b; Path=/a', '/a'),
        ):
            with self.subTest(paths):
                self.jar.clear()
                self.assertEqual(self.store(f'a=1; Path={paths}'), [('www.example.test', expected, 'a', '1')])

    def test_secure(self) -> None:
        self.store('a=1; Secure', 'b=2', url='https://www.example.test/chat/')
        self.assertEqual(self.sent(), 'b=2')
        self.assertEqual(self.sent('https://www.example.test/chat/'), 'a=1; b=2')

    def test_ages(self) -> None:
        past, future = 'Thu, 01 Jan 1970 00:00:01 GMT', 'Fri, 31-Dec-2100 23:59:59 GMT'
        now = int(time.time())
        for attributes, least in (
            ('', None),
            ('Max-Age=60', now + 60),
            ('Max-Age=060; Max-Age=x', now + 60),
            (f'Max-Age=60; Expires={past}', now + 60),
            (f'Expires={past}; max-age=60', now + 60),
            (f'Expires={future}', 4133980799),
            (f'Max-Age=60000000000000; Expires={past}', now + 6_000_000_000),
            ('Max-Age', None),
            ('Max-Age=1.5', None),
            ('Max-Age=+1', None),
            ('Expires=tomorrow', None),
            ('Expires=01 Jan 20000 00:00:00 GMT', None),
        ):
            with self.subTest(attributes):
                self.jar.clear()
                self.store(f'a=1; {attributes}')
                (cookie,) = self.jar
                if least is None:
                    self.assertIsNone(cookie.expires)
                else:
                    assert cookie.expires is not None
                    self.assertTrue(least <= cookie.expires < least + 60, cookie.expires)
        for attributes in ('Max-Age=0', 'Max-Age=000', 'Max-Age=-1', f'Max-Age=0; Expires={future}', f'Expires={past}'):
            with self.subTest(attributes):
                self.store('a=1')
                self.assertEqual(self.store(f'a=; {attributes}'), [])

    def test_what_is_no_cookie(self) -> None:
        self.assertEqual(self.store('', 'a', '=1', ' = 1', ';a=1', '; Max-Age=0'), [])

    def test_a_bad_one_does_not_take_the_others_along(self) -> None:
        for bad in ('b=2; Max-Age', 'b=2; Max-Age=' + '9' * 4000, 'b=2; Expires=1-Jan-' + '1' * 30, 'b=2; Version=x'):
            with self.subTest(bad):
                self.jar.clear()
                self.store('a=1', bad, 'c=3')
                self.assertEqual(self.sent(), 'a=1; b=2; c=3')

    def test_nobody_deletes_the_cookies_of_others(self) -> None:
        self.store('a=1; Path=/; Domain=example.test')
        self.store('a=; Path=/; Domain=example.test; Max-Age=0', url='http://evil.test/')
        self.assertEqual(self.sent(), 'a=1')

    def test_set_cookie2_is_not_looked_at(self) -> None:
        jar = CookieJar(DefaultCookiePolicy(rfc2965=True))
        head = b'HTTP/1.1 101 Yes\r\nSet-Cookie2: a="1"; Version=1\r\nSet-Cookie: b=2; Version=1\r\n\r\n'
        Cookies(jar).store(URL, head, DEFAULT_LIMITS)
        self.assertEqual(Cookies(jar).header(URL), 'b=2')

    def test_the_policy_decides(self) -> None:
        self.jar.set_policy(DefaultCookiePolicy(blocked_domains=['www.example.test']))
        self.assertEqual(self.store('a=1'), [])
        self.store('a=1', url='http://other.test/')
        self.assertEqual(self.sent('http://other.test/'), 'a=1')
        self.jar.set_policy(DefaultCookiePolicy(allowed_domains=[]))
        self.assertIsNone(self.sent('http://other.test/'))

    def test_a_policy_about_third_parties(self) -> None:
        self.jar.set_policy(DefaultCookiePolicy(strict_ns_unverifiable=True))
        self.store('a=1')
        cookies = Cookies(self.jar)
        for host, expected in (('mail.example.test', 'a=1'), ('other.test', 'a=1')):
            cookies.leave(host)  # the first one counts
            self.assertEqual(cookies.header(URL), expected)
        cookies = Cookies(self.jar)
        cookies.leave('other.test')
        self.assertIsNone(cookies.header(URL))
        cookies.store(URL, answer('b=2'), DEFAULT_LIMITS)
        self.assertEqual(self.sent(), 'a=1')

    def test_other_jars(self) -> None:
        class Mixed(LWPCookieJar, dict):  # type: ignore[type-arg]
            """A jar that is a mapping as well."""

        self.jar = Mixed()
        self.store('a=1')
        self.assertEqual(self.sent(), 'a=1')

    def test_no_jar_is_imported_for_a_mapping(self) -> None:
        code = (
            'import sys\nfrom ws4py.cookies import Cookies\n'
            'cookies = Cookies({"a": "1"})\ncookies.store("http://a.test/", b"", None)\n'
            'print(cookies.header("http://a.test/"), sorted({"http.cookiejar", "urllib.request"} & set(sys.modules)))'
        )
        done = subprocess.run([sys.executable, '-c', code], stdout=subprocess.PIPE, text=True, timeout=60)
        self.assertEqual(done.stdout, 'a=1 []\n')


class HostileTest(unittest.TestCase):
    def setUp(self) -> None:
        self.jar = CookieJar()
        self.cookies = Cookies(self.jar)

    def store(self, *lines: str, url: str = URL) -> None:
        self.cookies.store(url, answer(*lines), DEFAULT_LIMITS)

    def test_long_ones_are_not_taken(self) -> None:
        self.store('a=' + 'x' * (LONGEST - 2), 'b=' + 'x' * (LONGEST - 1), 'c=1; Path=/' + 'x' * LONGEST)
        self.assertEqual([cookie.name for cookie in self.jar], ['a'])

    def test_a_domain_is_full(self) -> None:
        for at in range(3):
            self.store(*(f'a{at}x{number}=1; Path=/{number % 7}' for number in range(100)))
        self.assertEqual(len(self.jar), MOST)
        names = {cookie.name for cookie in self.jar}
        self.assertLessEqual({f'a0x{number}' for number in range(100)}, names, 'those that were there first stay')
        self.store('a0x0=2; Path=/0', 'new=1')
        self.assertEqual(len(self.jar), MOST)
        self.assertEqual([cookie.value for cookie in self.jar if cookie.name == 'a0x0'], ['2'])
        self.store('a0x1=; Path=/1; Max-Age=0', 'new=1')
        self.assertIn('new', {cookie.name for cookie in self.jar}, 'there is room again')
        self.store('b=1', url='http://other.test/')
        self.assertEqual(self.cookies.header('http://other.test/'), 'b=1')

    def test_what_the_application_put_there_stays(self) -> None:
        self.store('a=1')
        (pattern,) = self.jar
        for number in range(MOST + 50):
            cookie = copy.copy(pattern)
            cookie.name = f'a{number}'
            self.jar.set_cookie(cookie)
        self.store('a=2', 'b=1')
        self.assertEqual(len(self.jar), MOST + 51)
        self.assertEqual({cookie.value for cookie in self.jar if cookie.name in 'ab'}, {'2'})

    def test_other_threads(self) -> None:
        """One puts something into the jar while it is walked, another takes away what is too much."""

        class Busy(CookieJar):
            disturbed = 0

            def __iter__(self) -> Any:
                self.disturbed += 1
                if self.disturbed % 2:
                    raise RuntimeError('dictionary changed size during iteration')
                return super().__iter__()

            def clear(self, *key: Any) -> None:
                super().clear(*key)
                super().clear(*key)  # a KeyError: it is gone

        jar = Busy()
        for at in range(2):
            Cookies(jar).store(URL, answer(*(f'a{at}x{number}=1' for number in range(100))), DEFAULT_LIMITS)
        self.assertEqual(jar.disturbed, 8)
        self.assertEqual(len(list(CookieJar.__iter__(jar))), MOST)

    def test_time_is_linear(self) -> None:
        """Lines of four times the length take four times as long; with a pattern that stumbles it were sixteen."""

        def cost(length: int) -> float:
            lines = [f'a{at}=1; ' + (attack * length)[: length - 7] for at in range(10, 25)]
            best = 60.0
            for _ in range(3):
                self.jar.clear()
                begin = time.process_time()
                self.store(*lines)
                best = min(best, time.process_time() - begin)
            return best

        attacks = [';', '; ', '=', 'x;', ' ', '\xa0', '"\\', 'Domain=.', 'Path=/%', 'Max-Age=9;', 'Expires=1;']
        for attack in [*attacks, 'Expires=' + '1' * LONGEST, 'Expires=' + '1 ' * LONGEST, 'Max-Age=' + '0' * LONGEST]:
            with self.subTest(attack[:12]):
                self.assertLess(cost(LONGEST), 0.02 + 10 * cost(LONGEST // 4))

    def test_nonsense(self) -> None:
        """No warning of a bug, and no exception, whatever a server sets."""
        words = ['a', '=', ';', ' ', '"', ',', '.', '/', '\xa0', '\x85', '\xe9', '%', '+', '-1', '0', '99999', '2000']
        words += ['; Expires=', '; Domain=', '; Path=', '; Max-Age=', '; Version=', '; Port=', '; Secure', '; Discard']
        words += ['Jan', 'Mon, ', '31', ':', '12:61:61', ' GMT', 'example.test', '[::1]', '$Version', '9' * 4000, '\t']
        chance = random.Random(6265)
        with warnings.catch_warnings():
            warnings.simplefilter('error')
            for _ in range(3000):
                line = ''.join(chance.choices(words, k=chance.randrange(14)))[:5000]
                self.store('one=1', line, f'b=2;{line}', 'two=2')
                self.assertLessEqual({'one=1', 'two=2'}, set(str(self.cookies.header(URL)).split('; ')), line)
                self.jar.clear()


if __name__ == '__main__':
    unittest.main()
