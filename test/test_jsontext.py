"""JSON that is laid out again: still the same JSON, and nothing in it that would steer a terminal."""

from __future__ import annotations

import json
import unittest

from hypothesis import given
from hypothesis import strategies as st

from ws4py.cli.jsontext import DEEPEST, check, compact, pretty
from ws4py.terminal import UNPRINTABLE

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


class JSONTextTest(unittest.TestCase):
    @given(VALUES, st.sampled_from([None, 1]), st.booleans())
    def test_it_stays_the_same(self, value: object, indent: int, ascii_only: bool) -> None:
        text = json.dumps(value, indent=indent, ensure_ascii=ascii_only)
        for shown in (compact(text), '\n'.join(pretty(text))):
            self.assertEqual(json.loads(shown), value)
            self.assertIsNone(UNPRINTABLE.search(shown.replace('\n', '')))

    @given(VALUES)
    def test_layout_is_that_of_the_standard_library(self, value: object) -> None:
        text = json.dumps(value)
        if max(map(len, pretty(text))) < 2 * DEEPEST and '\\' not in text:
            self.assertEqual('\n'.join(pretty(text)), json.dumps(value, indent=2))

    def test_layout(self) -> None:
        text = ' { "a":[1, [ ] ,{}] ,"b":{"c" :null} } '
        self.assertEqual(compact(text), '{"a":[1,[],{}],"b":{"c":null}}')
        expected = ['{', '  "a": [', '    1,', '    [],', '    {}', '  ],', '  "b": {', '    "c": null', '  }', '}']
        self.assertEqual(pretty(text), expected)
        self.assertEqual(pretty(' [] '), ['[]'])
        self.assertEqual(pretty('[[]]'), ['[', '  []', ']'])

    def test_tokens_stay_as_they_came(self) -> None:
        text = f'{{"a":1.10,"a":1e400,"b":{"9" * 5000},"c":"\\u0041\\/ [,:{{"}}'
        self.assertEqual(compact(text), text)

    def test_what_steers_a_terminal_is_escaped_in_the_way_of_json(self) -> None:
        self.assertEqual(compact('"\x7f\x9b2J\u202e\U000e0041"'), r'"\u007f\u009b2J\u202e\udb40\udc41"')
        self.assertEqual(json.loads(compact('"\U000e0041"')), '\U000e0041')
        self.assertEqual(pretty('["\x7f"]'), ['[', r'  "\u007f"', ']'])

    def test_what_is_no_json(self) -> None:
        for text in (
            '',
            ' ',
            '{',
            '[1,]',
            "{'a': 1}",
            'NaN',
            '[Infinity]',
            '-Infinity',
            '01',
            '"a\tb"',
            '1 2',
            '\ufeff1',
        ):
            with self.subTest(text):
                for function in (check, compact, pretty):
                    self.assertRaises(ValueError, function, text)

    def test_what_is_nested_deeply_takes_no_more_than_it_should(self) -> None:
        with self.assertRaisesRegex(ValueError, 'nested too deeply'):
            check('[' * 100_000 + ']' * 100_000)
        depth = 200
        text = '[' * depth + ','.join('1' * 1000) + ']' * depth
        self.assertLess(sum(map(len, pretty(text))), len(text) * (2 * DEEPEST + 2))


if __name__ == '__main__':
    unittest.main()
