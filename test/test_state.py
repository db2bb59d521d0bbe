"""The state of a connection: every state meets every event."""

from __future__ import annotations

import unittest

from ws4py import state
from ws4py.state import BY_FLAGS, RECEIVED, SENT, TRANSITIONS, Event, State, after

LEGAL = {
    ('CONNECTING', 'OPENED'): 'OPEN',
    ('OPEN', 'SENT'): 'CLOSE_SENT',
    ('OPEN', 'RECEIVED'): 'CLOSE_RECEIVED',
    ('CLOSE_SENT', 'RECEIVED'): 'CLOSE_EXCHANGED',
    ('CLOSE_RECEIVED', 'SENT'): 'CLOSE_EXCHANGED',
    **{(name, 'ENDED'): 'CLOSED' for name in State.__members__},
}


class StateTest(unittest.TestCase):
    def test_the_states(self) -> None:
        self.assertEqual(
            list(State.__members__), ['CONNECTING', 'OPEN', 'CLOSE_SENT', 'CLOSE_RECEIVED', 'CLOSE_EXCHANGED', 'CLOSED']
        )
        self.assertEqual(list(Event.__members__), ['OPENED', 'SENT', 'RECEIVED', 'ENDED'])

    def test_every_state_meets_every_event(self) -> None:
        for now in State:
            for event in Event:
                with self.subTest(f'{now.name} {event.name}'):
                    then = LEGAL.get((now.name, event.name))
                    if then is None:
                        with self.assertRaisesRegex(RuntimeError, f"state '{now.value}' cannot be {event.value}"):
                            after(now, event)
                    else:
                        self.assertIs(after(now, event), State[then])

    def test_nothing_comes_after_the_end(self) -> None:
        self.assertEqual({event for (now, event) in TRANSITIONS if now is State.CLOSED}, {Event.ENDED})
        self.assertIs(after(State.CLOSED, Event.ENDED), State.CLOSED)

    def test_a_close_frame_is_sent_once_and_received_once(self) -> None:
        for (now, event), then in TRANSITIONS.items():
            self.assertFalse(event is Event.SENT and now in SENT)
            self.assertFalse(event is Event.RECEIVED and now in RECEIVED)
            # What was sent or received stays so.
            self.assertTrue(now not in SENT or then in SENT)
            self.assertTrue(now not in RECEIVED or then in RECEIVED)

    def test_flags(self) -> None:
        self.assertEqual(set(BY_FLAGS), {(False, False), (False, True), (True, False), (True, True)})
        for (sent, received), now in BY_FLAGS.items():
            self.assertEqual((now in SENT, now in RECEIVED), (sent, received))

    def test_every_state_can_be_reached_and_is_drawn(self) -> None:
        reached = {State.CONNECTING, *TRANSITIONS.values()}
        self.assertEqual(reached, set(State))
        for now in State:
            self.assertIn(now.name, state.__doc__ or '')


if __name__ == '__main__':
    unittest.main()
