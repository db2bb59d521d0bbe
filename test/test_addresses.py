"""The order of addresses."""

from __future__ import annotations

import unittest
from socket import AF_INET, AF_INET6

from ws4py.addresses import interleave


class InterleaveTest(unittest.TestCase):
    def test_families_take_turns(self) -> None:
        four = [(AF_INET, number) for number in range(3)]
        six = [(AF_INET6, number) for number in range(2)]
        self.assertEqual(interleave([*six, *four]), [six[0], four[0], six[1], four[1], four[2]])
        self.assertEqual(interleave([four[0], *six, *four[1:]]), [four[0], six[0], four[1], six[1], four[2]])
        self.assertEqual(interleave(iter(four)), four)
        self.assertEqual(interleave([]), [])


if __name__ == '__main__':
    unittest.main()
