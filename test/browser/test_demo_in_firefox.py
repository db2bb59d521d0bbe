"""The demo's page in Firefox: that it works there too. What it does in all its corners is tested in Chromium."""

from __future__ import annotations

import unittest

from support_demo import Demo, until

from browser.bidi import Firefox, Tab


class DemoTest(unittest.TestCase):
    browser: Firefox

    @classmethod
    def setUpClass(cls) -> None:
        lack = Firefox.missing()
        if lack:
            raise unittest.SkipTest(lack)
        cls.browser = Firefox()
        cls.addClassCleanup(cls.browser.quit)

    def setUp(self) -> None:
        self.demo = Demo()
        self.addCleanup(self.demo.kill)
        self.addCleanup(self.browser.close_tabs)

    def join(self, name: str) -> Tab:
        tab = self.browser.open_tab(self.demo.url)
        until(lambda: tab.texts('#state') == ['Connected'], 'connected')
        tab.fill('#name', '')
        tab.type('#name', name + '\n')
        self.wait_for_peer(tab, name)
        return tab

    def wait_for_peer(self, tab: Tab, name: str) -> None:
        until(lambda: name in tab.texts('#peers .name'), f'{name} in the list')

    def test_two_tabs_talk_and_one_leaves(self) -> None:
        ann, bob = self.join('Ann'), self.join('Bob')
        self.wait_for_peer(ann, 'Bob')
        bob.type('#text', 'Hi Ann! <b>🎉</b>\n')
        ann.type('#text', 'Hi Bob.\n')
        for tab in (ann, bob):
            until(lambda tab=tab: tab.texts('#log .bubble') == ['Hi Ann! <b>🎉</b>', 'Hi Bob.'], 'what was said')
        bob.close()
        until(lambda: 'Bob left.' in tab_text(ann), 'that Bob left')
        self.assertEqual(self.browser.console(), [])

    def test_it_says_that_the_server_went_away(self) -> None:
        ann = self.join('Ann')
        self.assertEqual(self.browser.console(), [])
        self.assertEqual(self.demo.stop(), (0, ''))
        until(lambda: 'Connection lost: Server is shutting down.' in tab_text(ann), 'why')
        self.assertEqual(ann.texts('#state'), ['Reconnecting'])


def tab_text(tab: Tab) -> str:
    """All that the log shows."""
    return ''.join(tab.texts('#log'))


if __name__ == '__main__':
    unittest.main()
