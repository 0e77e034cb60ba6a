"""What the real bash makes of a secret in traces and with its quoting does not show it."""

from __future__ import annotations

import os
import random
import subprocess

import pytest

from runners.executor.masking import MASK, Masker

# Each line prints the value of $SECRET in one form of bash, between marks that are not masked.
SCRIPT = r"""
set -f
printf '%q\n' "$SECRET"
printf '%q\n' "x$SECRET"
printf '%q\n' "x=$SECRET"
printf '%s\n' "${SECRET@Q}"
printf '%s\n' "${SECRET@A}"
declare -p SECRET
export -p | grep ' SECRET='
set | grep '^SECRET='
exec 2>&1
set -x
[[ other == "$SECRET" ]]
[[ other == $SECRET ]]
[[ other == x"$SECRET"* ]]
[[ $SECRET == other ]]
[[ other != "$SECRET" ]]
[ other = "$SECRET" ]
: "$SECRET" --password="$SECRET"
other=$SECRET
"""
CHARACTERS = "abzXYZ0189" + "!#$%&()*+,-./:;<=>?@[]^_{|}~" + "'\"\\` "
FIXED = [
    "Pa$$w0rd#2027",
    "my~pass&word",
    "~begins#",
    "#begins~",
    "a=~b:~c#d",
    "a'b\"c\\d`e",
    "é~ß#ü&ö",
]


def random_secrets(seed: int, count: int) -> list[str]:
    chosen = random.Random(seed)  # noqa: S311 - the same texts at each run
    return [
        "".join(chosen.choices(CHARACTERS, k=chosen.randint(8, 24))) + "k7"
        for _number in range(count)
    ]


def said_by_bash(secret: str) -> bytes:
    environment = {"PATH": os.environ["PATH"], "SECRET": secret, "LC_ALL": "C.UTF-8"}
    done = subprocess.run(
        ["bash", "-c", SCRIPT], env=environment, check=False, capture_output=True, timeout=60
    )
    return done.stdout


def unquoted(shown: bytes) -> bytes:
    """Return the text without what quoting adds, so that any form shows the characters."""
    return shown.translate(None, b"\\'\"")


@pytest.mark.parametrize("secret", [*FIXED, *random_secrets(2027, 60)])
def test_bash_never_shows_secret(secret: str) -> None:
    said = said_by_bash(secret)
    masker = Masker([secret.encode()])
    shown = masker.feed(said) + masker.flush()
    assert unquoted(secret.encode()) in unquoted(said)
    assert unquoted(secret.encode()) not in unquoted(shown)
    assert MASK in shown
