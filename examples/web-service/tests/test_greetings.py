from __future__ import annotations

import unittest

from service.greetings import greet


class Greetings(unittest.TestCase):
    def test_everybody_is_greeted_by_name(self) -> None:
        self.assertEqual(greet("Ada"), "Hello, Ada!")

    def test_somebody_without_a_name_is_the_world(self) -> None:
        self.assertEqual(greet("  "), "Hello, World!")

    def test_a_language_that_is_not_spoken_here_is_english(self) -> None:
        self.assertEqual(greet("Ada", "de"), "Hallo, Ada!")
        self.assertEqual(greet("Ada", "tlh"), "Hello, Ada!")
