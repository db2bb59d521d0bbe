"""The pages of the examples in headless Chromium; ``pytest --screenshots`` writes the documentation's pictures anew."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path
from typing import Any

from support_demo import environment, until
from support_examples import EXAMPLE, Program

import browser
from browser.bidi import Chromium, Tab

try:
    import cherrypy
except ImportError:
    cherrypy = None

PICTURES = Path(__file__).resolve().parents[2] / 'docs' / '_static'
DESKTOP, PHONE = (720, 600), (390, 700)

MEASURES = """() => {
  const page = document.documentElement;
  const boxes = Array.from(document.querySelectorAll("body *"), (one) => one.getBoundingClientRect());
  const outside = boxes.filter((box) => box.left < 0 || box.right > page.clientWidth);
  return [innerWidth, page.scrollWidth - page.clientWidth, outside];
}"""
CHOOSE_A_FILE = """(name, size) => {
  const content = new Uint8Array(size).map((_, at) => at % 251);
  const chosen = new DataTransfer();
  chosen.items.add(new File([content], name));
  const input = document.getElementById("file");
  input.files = chosen.files;
  input.dispatchEvent(new Event("change"));
}"""
# The number of colours in each canvas; of a copy, because Chromium warns of who reads one that is drawn fast.
COLOURS = """() => Array.from(document.querySelectorAll("canvas"), (canvas) => {
  const pen = new OffscreenCanvas(canvas.width, canvas.height).getContext("2d", {willReadFrequently: true});
  pen.drawImage(canvas, 0, 0);
  const data = pen.getImageData(0, 0, canvas.width, canvas.height).data;
  const colours = new Set();
  for (let at = 0; at < data.length; at += 4) {
    if (data[at + 3] === 255) colours.add(data.slice(at, at + 3).join());
  }
  return colours.size;
})"""
# Announce files, and then send nothing of them.
STALL = """() => {
  const send = WebSocket.prototype.send;
  WebSocket.prototype.send = function (data) { if (typeof data === "string") send.call(this, data); };
}"""
# What a browser on a telephone does.
SWING = """() => {
  const begun = performance.now();
  setInterval(() => {
    const t = (performance.now() - begun) / 1000;
    const accelerationIncludingGravity = {x: 5 * Math.sin(3 * t), y: 2 * Math.cos(t), z: 9.8};
    dispatchEvent(new DeviceMotionEvent("devicemotion", {accelerationIncludingGravity}));
  }, 60);
}"""


def number(tab: Tab, selector: str) -> float:
    return float(tab.texts(selector)[0])


class ExamplePagesTest(unittest.TestCase):
    browser: Chromium

    @classmethod
    def setUpClass(cls) -> None:
        lack = Chromium.missing()
        if lack:
            raise unittest.SkipTest(lack)
        cls.browser = Chromium()
        cls.addClassCleanup(cls.browser.quit)

    def setUp(self) -> None:
        self.addCleanup(self.browser.close_tabs)

    def start(self, name: str, *arguments: str) -> Program:
        program = Program(name, *arguments)
        self.addCleanup(program.kill)
        return program

    def open(self, url: str, connected: bool = True) -> Tab:
        tab = self.browser.open_tab(url)
        tab.command('browsingContext.activate')
        if connected:
            until(lambda: tab.texts('#state') == ['Connected'], 'the page is connected')
        return tab

    def look_at(self, tab: Tab, name: str) -> None:
        """It fits a desktop, and a telephone in the dark; the pictures are of that."""
        session = tab.command('goog:cdp.getSession')['session']
        colours = []
        for kind, scheme, (width, height) in (('desktop', 'light', DESKTOP), ('phone', 'dark', PHONE)):
            features = {'features': [{'name': 'prefers-color-scheme', 'value': scheme}]}
            emulate: dict[str, Any] = {'method': 'Emulation.setEmulatedMedia', 'params': features, 'session': session}
            self.browser.command('goog:cdp.sendCommand', **emulate)
            tab.resize(width, height)
            self.assertEqual(tab.run(MEASURES), [width, 0, []])
            colours.append(tab.run('() => getComputedStyle(document.body).color'))
            if browser.screenshots:
                tab.picture(PICTURES / f'example-{name}-{kind}.png')
        self.assertEqual(len(set(colours)), 2, colours)

    def assert_quiet(self) -> None:
        self.assertEqual(self.browser.console(), [])

    def test_the_chat(self) -> None:
        program = self.start('chat_asyncio_server.py')
        ann, bob = self.open(program.url), self.open(program.url)
        said = []
        for tab, name, text in (
            (ann, 'Ann', 'Hello! This is the same handler on five servers.'),
            (bob, 'Bob', '<img src=x onerror=alert(1)> Grüße!'),
        ):
            tab.fill('#name', name)
            tab.fill('#text', text)
            tab.type('#text', '\n')
            said.append(f'{name}: {text}')
            for each in (ann, bob):
                until(lambda each=each: each.texts('#log li') == said, said[-1])
        self.look_at(ann, 'chat')
        self.assert_quiet()

    def test_the_clock(self) -> None:
        program = self.start('clock_server.py')
        tab = self.open(program.url)
        seen: set[str] = set()

        def hands() -> bool:
            seen.add(tab.run('() => document.getElementById("second").getAttribute("transform")'))
            return len(seen - {None}) >= 3

        until(hands, 'three seconds')
        self.look_at(tab, 'clock')
        self.assert_quiet()

    def test_the_upload(self) -> None:
        with tempfile.TemporaryDirectory() as directory:
            program = self.start('upload_server.py', '--directory', directory)
            tab = self.open(program.url, connected=False)
            for name, size in (('<b>holiday</b>.jpg', 5_000_000), ('empty.txt', 0)):
                tab.run(CHOOSE_A_FILE, name, size)
            notes = lambda: tab.texts('#uploads .note')  # noqa: E731
            until(lambda: all(note.startswith('Done:') for note in notes()), 'both are done')
            self.assertEqual(tab.texts('#uploads .name')[0], '<b>holiday</b>.jpg, 5,000,000 bytes')
            sizes = sorted(path.stat().st_size for path in Path(directory).iterdir())
            self.assertEqual(sizes, [0, 5_000_000])
            content = max(Path(directory).iterdir(), key=lambda path: path.stat().st_size).read_bytes()
            self.assertEqual(content, (bytes(range(251)) * 20000)[:5_000_000])
            bars = tab.run('() => Array.from(document.querySelectorAll("progress"), (bar) => bar.value / bar.max)')
            self.assertEqual(bars, [1, 1])
            self.look_at(tab, 'upload')
            self.assert_quiet()
            # A server that goes says so, and leaves no half file.
            tab.run(STALL)
            tab.run(CHOOSE_A_FILE, 'never', 10)
            until(lambda: len(os.listdir(directory)) == 3, 'a third one has begun')
            self.assertEqual(program.stop(), 0, program.errors())
            until(lambda: notes()[-1] == 'Failed: 1001 Server is shutting down', 'the failure')
            self.assertEqual(len(os.listdir(directory)), 2)

    def test_the_animation(self) -> None:
        program = self.start('animation_server.py')
        tab = self.open(program.url)
        until(lambda: number(tab, '#drawn') >= 20, 'twenty frames')
        self.assertGreater(number(tab, '#rate'), 1)
        until(lambda: tab.run(COLOURS)[0] > 0, 'a curve')
        self.look_at(tab, 'animation')
        tab.click('#slow')
        dropped, drawn = number(tab, '#dropped'), number(tab, '#drawn')
        until(lambda: number(tab, '#drawn') >= drawn + 7, 'some frames, slowly')
        self.assertGreater(number(tab, '#dropped'), dropped + 10)
        self.assert_quiet()

    def test_a_browser_is_logged_in_by_its_cookie(self) -> None:
        program = self.start('cookie_auth_asyncio_server.py')
        tab = self.open(program.url, connected=False)
        until(lambda: len(self.browser.console()) >= 1, 'a refusal, which Chromium notes')
        tab.go_to(program.output().strip())
        until(lambda: tab.texts('#log li') == ['hello ann'], 'the greeting')
        self.assertEqual(tab.run('() => [location.href, document.cookie]'), [program.url, ''])

    def test_the_pages_of_neighbours(self) -> None:
        for name, framework in (('flask', 'Flask'), ('django', 'Django')):
            if importlib.util.find_spec(name) is None:
                continue
            with self.subTest(name):
                program = self.start(f'{name}_server.py')
                tab = self.open(program.url)
                self.assertEqual(tab.texts('h1'), [f'{framework} and a websocket'])
                tab.type('#text', 'Grüße <b>\n')
                expected = [f'Hello {tab.texts("#name")[0]}!', 'Grüße <b>']
                until(lambda tab=tab, expected=expected: tab.texts('#log li') == expected, 'the echo')
                self.look_at(tab, name)
        self.assert_quiet()

    @unittest.skipIf(cherrypy is None, 'CherryPy is not installed')
    def test_the_sensors(self) -> None:
        program = self.start('droid_sensor_cherrypy_server.py')
        plot = self.open(program.url)
        sensor = subprocess.Popen(
            [sys.executable, str(EXAMPLE / 'droid_sensor.py'), '--url', program.ws_url], env=environment()
        )
        self.addCleanup(sensor.wait)
        self.addCleanup(sensor.kill)
        until(lambda: plot.texts('h2') == ['simulated'], 'the simulated one')
        phone = self.open(f'{program.url}sensor', connected=False)
        phone.fill('#name', '<i>Ann</i>')
        phone.click('#start')
        until(lambda: phone.texts('#state') == ['Connected, no reading yet'], 'the telephone is connected')
        phone.run(SWING)
        until(lambda: phone.texts('#state') == ['Sending'], 'a reading is sent')
        until(lambda: plot.texts('h2') == ['simulated', '<i>Ann</i>'], 'both')
        self.look_at(phone, 'sensor')
        plot.command('browsingContext.activate')
        until(lambda: [colours >= 3 for colours in plot.run(COLOURS)] == [True, True], 'three curves in each plot')
        self.assertEqual(len(plot.texts('output')), 2)
        if browser.screenshots:
            until(lambda: plot.run('() => performance.now()') > 15000, 'the plots are full')
        self.look_at(plot, 'plot')
        self.assert_quiet()
        sensor.kill()
        until(lambda: plot.texts('h2') == ['<i>Ann</i>'], 'who has gone is not shown any more')


if __name__ == '__main__':
    unittest.main()
