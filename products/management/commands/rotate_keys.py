"""``manage.py rotate_keys``: seal all credentials with the newest key of CONVEYOR_KEYS."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError

from products.credentials import keys_in_use, rotate_credentials, try_credentials
from products.errors import ConveyorError
from products.keys import key_ring


class Command(BaseCommand):
    """Rotates the keys of credentials."""

    help = (
        "Seal all credentials with the newest key, the first of CONVEYOR_KEYS. Put a new key in "
        "front, restart everything, run this, then take the old keys away. Jobs may start "
        "meanwhile; what was interrupted is finished by running it again. Exit code: 0, or 1 with "
        "the names of credentials that none of the keys opens, when all others are done."
    )
    requires_system_checks = []

    def handle(self, *args: Any, **options: Any) -> None:
        """Re-seal, and say how many, what cannot be opened and which keys are not needed."""
        try:
            self._rotate()
            try_credentials()
        except ConveyorError as error:
            raise CommandError(str(error)) from error

    def _rotate(self) -> None:
        keys = key_ring()
        done = rotate_credentials()
        self.stdout.write(f"Re-sealed {done} credentials with the key {keys.newest}.")
        idle = sorted(keys.keys.keys() - keys_in_use() - {keys.newest})
        if idle:
            self.stdout.write(f"Not needed any more in CONVEYOR_KEYS: {', '.join(idle)}.")
