"""The demo's page in a real browser: headless Chromium, steered by its own chromedriver.

Skipped where there is no browser, or no selenium; with ``pytest --require-browser`` that is a failure. With
``pytest --screenshots`` the pictures of the documentation are written anew.
"""

from __future__ import annotations

import math
import shutil
import tempfile
import unittest
from pathlib import Path
from typing import Any

from support_demo import Demo, until
from support_tls import certificate_files, needs_certificates

import browser
from browser.bidi import CHROMIUM, CHROMIUM_FLAGS, Chromium, which

try:
    from selenium import webdriver
    from selenium.webdriver.common.by import By
except ImportError:
    webdriver = None

PICTURES = Path(__file__).resolve().parents[2] / 'docs' / '_static'


def missing() -> str:
    """What is not here to run a browser, in words; empty when all is."""
    return 'selenium is not installed' if webdriver is None else Chromium.missing()


class PageTest(unittest.TestCase):
    demo: Demo
    browser: Any
    profile: str

    @classmethod
    def setUpClass(cls) -> None:
        lack = missing()
        if lack:
            raise unittest.SkipTest(lack)
        cls.profile = tempfile.mkdtemp(prefix='ws4py-browser-')
        cls.addClassCleanup(shutil.rmtree, cls.profile, ignore_errors=True)
        options = webdriver.ChromeOptions()
        options.binary_location = which(*CHROMIUM)
        options.accept_insecure_certs = True
        for flag in (*CHROMIUM_FLAGS, f'--user-data-dir={cls.profile}'):
            options.add_argument(flag)
        options.set_capability('goog:loggingPrefs', {'browser': 'ALL'})
        cls.browser = webdriver.Chrome(options=options, service=webdriver.ChromeService(which('chromedriver')))
        cls.addClassCleanup(cls.browser.quit)

    def setUp(self) -> None:
        self.demo = Demo()
        self.addCleanup(lambda: self.demo.kill())
        self.resize(1100, 640)
        self.first = self.browser.current_window_handle
        self.addCleanup(self.close_other_tabs)
        self.browser.get_log('browser')  # from now on only what this test does

    def close_other_tabs(self) -> None:
        for tab in self.browser.window_handles:
            self.browser.switch_to.window(tab)
            if tab != self.first:
                self.browser.close()
        self.browser.switch_to.window(self.first)
        self.browser.get('about:blank')

    # ---- what a person does and sees

    def open_tab(self, name: str, url: str = '') -> str:
        """A tab of its own, in which ``name`` has joined."""
        self.browser.switch_to.new_window('tab')
        self.browser.get(url or self.demo.url)
        self.wait_for_state('open')
        self.rename(name)
        until(lambda: name in self.names(), f'{name} in the list')
        return self.browser.current_window_handle

    def go_to(self, tab: str) -> None:
        self.browser.switch_to.window(tab)

    def by_id(self, name: str) -> Any:
        return self.browser.find_element(By.ID, name)

    def rename(self, name: str) -> None:
        field = self.by_id('name')
        field.clear()
        field.send_keys(name + '\n')

    def say(self, text: str) -> None:
        self.by_id('text').send_keys(text + '\n')

    def attach(self, name: str, content: bytes) -> None:
        path = Path(self.profile) / name
        path.write_bytes(content)
        self.by_id('file').send_keys(str(path))

    def draw(self) -> None:
        self.by_id('draw').click()
        canvas = self.by_id('canvas')
        actions = webdriver.ActionChains(self.browser, duration=5).move_to_element_with_offset(canvas, -120, 0)
        actions.click_and_hold()
        for step in range(0, 41, 2):
            actions.move_to_element_with_offset(canvas, -120 + 6 * step, round(40 * math.sin(step / 4)))
        actions.release().perform()
        self.by_id('send-drawing').click()
        self.by_id('draw').click()

    def names(self) -> list[str]:
        return self.browser.execute_script(
            'return Array.from(document.querySelectorAll("#peers .name"), (name) => name.textContent)'
        )

    def log(self) -> str:
        return self.by_id('log').text

    def wait_for(self, text: str) -> None:
        until(lambda: text in self.log(), f'{text!r} in the log')

    def wait_for_state(self, state: str) -> None:
        until(lambda: self.by_id('state').get_attribute('data-state') == state, f'the state {state}')

    def console(self) -> list[str]:
        return [entry['message'] for entry in self.browser.get_log('browser')]

    def resize(self, width: int, height: int, scale: int = 1, mobile: bool = False) -> None:
        metrics = {'width': width, 'height': height, 'deviceScaleFactor': scale, 'mobile': mobile}
        self.browser.execute_cdp_cmd('Emulation.setDeviceMetricsOverride', metrics)

    def picture(self, name: str) -> None:
        if browser.screenshots:
            PICTURES.mkdir(parents=True, exist_ok=True)
            self.browser.execute_script('document.activeElement.blur()')
            self.browser.save_screenshot(str(PICTURES / name))

    # ---- tests

    def test_two_tabs_exchange_text_and_binary_messages(self) -> None:
        ann = self.open_tab('Ann')
        self.assertEqual(self.names(), ['Ann'])
        bob = self.open_tab('Bob')
        self.assertEqual(self.names(), ['Ann', 'Bob'])
        self.say('Hi Ann, are you there?')
        self.wait_for('Hi Ann, are you there?')

        self.go_to(ann)
        until(lambda: self.names() == ['Ann', 'Bob'], 'Bob in the list')
        self.assertEqual(self.by_id('count').text, '2')
        self.wait_for('Hi Ann, are you there?')
        self.say('Yes! Two tabs, one ws4py server, and only the standard library under it. Look:')
        self.draw()
        until(lambda: self.browser.find_elements(By.CSS_SELECTOR, '#log .mine img'), 'my own drawing')

        self.go_to(bob)
        self.wait_for('Two tabs, one ws4py server')
        until(lambda: self.browser.find_elements(By.CSS_SELECTOR, '#log img'), 'the drawing')
        width = 'return document.querySelector("#log img").naturalWidth'
        until(lambda: self.browser.execute_script(width) == 480, 'a picture that can be shown')
        self.attach('notes.bin', bytes(range(40)))

        self.go_to(ann)
        self.wait_for('notes.bin (40 bytes)')
        self.wait_for('00 01 02 03 04 05 06 07 08 09 0a 0b 0c 0d 0e 0f …')
        link = self.browser.find_elements(By.CSS_SELECTOR, '#log a')[-1]
        self.assertEqual(link.get_attribute('download'), 'notes.bin')
        self.assertTrue(link.get_attribute('href').startswith('blob:'))

        self.go_to(bob)
        self.wait_for('notes.bin')
        self.say('Sent you a file, too.')
        self.resize(1100, 780)
        self.picture('demo.png')
        self.rename('Robert')
        self.go_to(ann)
        self.wait_for('Bob is now Robert.')
        self.assertEqual(self.names(), ['Ann', 'Robert'])
        self.go_to(bob)
        self.browser.close()
        self.go_to(ann)
        self.wait_for('Robert left.')
        self.assertEqual(self.names(), ['Ann'])
        self.assertEqual(self.console(), [])

    def test_what_a_peer_writes_is_text(self) -> None:
        bob = self.open_tab('<b id=evil>Bob</b>')
        ann = self.open_tab('Ann')
        self.assertEqual(self.names(), ['<b id=evil>Bob</b>', 'Ann'])
        self.go_to(bob)
        markup = '<img src=x onerror="document.title=1"><script>document.title=2</script> javascript:alert(1)'
        self.say(markup)
        self.attach('<i id=evil>.html', b'<script>document.title=3</script>')
        self.go_to(ann)
        self.wait_for(markup)
        self.wait_for('<i id=evil>.html (33 bytes)')
        self.assertEqual(self.browser.find_elements(By.CSS_SELECTOR, '#evil, #log script, #log img'), [])
        self.assertEqual(self.browser.title, 'ws4py chat')
        self.assertEqual(self.console(), [])

    def test_a_file_over_the_limit_is_not_sent(self) -> None:
        self.open_tab('Ann')
        self.attach('large.bin', bytes(1024 * 1024))
        self.wait_for('large.bin is too large: at most 1.0 MiB can be sent.')
        self.assertEqual(self.by_id('state').get_attribute('data-state'), 'open')

    def test_it_comes_back_after_a_restart_of_the_server(self) -> None:
        ann, bob = self.open_tab('Ann'), self.open_tab('Bob')
        self.assertEqual(self.console(), [])
        self.assertEqual(self.demo.stop(), (0, ''))
        for tab in (ann, bob):
            self.go_to(tab)
            self.wait_for_state('reconnecting')
            self.wait_for('Connection lost: Server is shutting down.')
            self.assertEqual(self.names(), [])
            self.assertFalse(self.browser.find_element(By.CSS_SELECTOR, '#say-form [type=submit]').is_enabled())
        self.demo = Demo(port=self.demo.port)
        for tab in (ann, bob):
            self.go_to(tab)
            self.wait_for_state('open')
        until(lambda: sorted(self.names()) == ['Ann', 'Bob'], 'both names again')
        self.say('Here again.')
        self.go_to(ann)
        self.wait_for('Back as Ann.')
        self.wait_for('Here again.')
        for message in self.console():  # Chromium itself notes each attempt that fails
            self.assertIn('ERR_CONNECTION_REFUSED', message)

    def test_disconnect_and_connect(self) -> None:
        self.open_tab('Ann')
        self.by_id('toggle').click()
        self.wait_for_state('closed')
        self.assertEqual(self.by_id('toggle').text, 'Connect')
        self.say('nobody hears this')
        self.assertEqual(self.by_id('text').get_attribute('value'), 'nobody hears this')
        self.by_id('toggle').click()
        self.wait_for_state('open')
        until(lambda: self.names() == ['Ann'], 'the name again')
        self.assertEqual(self.console(), [])

    def test_a_phone(self) -> None:
        ann = self.open_tab('Ann')
        self.resize(390, 780, 2, mobile=True)
        self.open_tab('Bob')
        self.resize(390, 780, 2, mobile=True)
        self.say('Hello from a phone.')
        self.go_to(ann)
        self.wait_for('Hello from a phone.')
        self.draw()
        self.say('A small one works as well, with the same page.')
        self.picture('demo-phone.png')
        for width in (390, 320):
            self.resize(width, 640, 2, mobile=True)
            with self.subTest(width=width):
                self.assertEqual(
                    self.browser.execute_script('return [innerWidth, document.documentElement.scrollWidth]'),
                    [width, width],
                )
                outside = (
                    'return Array.from(document.querySelectorAll("button, input:not([hidden]), #state, #peers, #log"))'
                    '.filter((element) => element.offsetParent !== null).filter((element) => {'
                    '  const box = element.getBoundingClientRect();'
                    '  return box.left < 0 || box.right > innerWidth || box.bottom > innerHeight; })'
                    '.map((element) => element.id || element.textContent)'
                )
                self.assertEqual(self.browser.execute_script(outside), [])
                until(  # the newest message stays in sight
                    lambda: self.browser.execute_script(
                        'const log = document.getElementById("log");'
                        'return log.scrollHeight - log.scrollTop - log.clientHeight < 2'
                    ),
                    'the end of the log',
                )
        self.assertEqual(self.console(), [])

    def test_every_control_has_a_name(self) -> None:
        self.open_tab('Ann')
        for element in self.browser.find_elements(By.CSS_SELECTOR, 'button, input:not([hidden]), [role]'):
            if element.is_displayed():
                with self.subTest(element.get_attribute('outerHTML')):
                    self.assertTrue(element.accessible_name or element.aria_role == 'status')

    @needs_certificates
    def test_https_uses_wss(self) -> None:
        cert, key = certificate_files('127.0.0.1')
        secure = Demo('--tls-cert', cert, '--tls-key', key)
        self.addCleanup(secure.kill)
        self.open_tab('Ann', secure.url)
        self.say('safely')
        self.wait_for('safely')
        self.assertEqual(secure.stop(), (0, ''))


if __name__ == '__main__':
    unittest.main()
