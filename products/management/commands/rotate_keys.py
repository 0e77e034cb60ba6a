"""``manage.py rotate_keys``: encrypt all credentials with the newest key of CONVEYOR_KEYS."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError

from products.credentials import keys_in_use, rotate_credentials, try_credentials
from products.errors import ConveyorError
from products.keys import key_ring


class Command(BaseCommand):
    """Encrypts credentials with the newest key, and names the keys that are no longer needed."""

    help = (
        "Encrypt all credentials with the newest key, the first of CONVEYOR_KEYS. To change the "
        "key: add a new key in front, restart all processes, run this command, remove the old "
        "keys. Jobs may start while it runs. If it was interrupted, run it again. Exit code: 0 all "
        "done, 1 no key opens some credentials, which it names; all others are done."
    )
    requires_system_checks = []

    def handle(self, *args: Any, **options: Any) -> None:
        """Encrypt; print the number of credentials and the keys that are no longer needed."""
        try:
            self._rotate()
            try_credentials()
        except ConveyorError as error:
            raise CommandError(str(error)) from error

    def _rotate(self) -> None:
        keys = key_ring()
        done = rotate_credentials()
        self.stdout.write(f"Encrypted {done} credentials with the key {keys.newest}.")
        idle = sorted(keys.keys.keys() - keys_in_use() - {keys.newest})
        if idle:
            self.stdout.write(f"No longer needed in CONVEYOR_KEYS: {', '.join(idle)}.")
