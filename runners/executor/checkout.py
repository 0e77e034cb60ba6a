"""Putting the exact commit into the workspace, as the job's user, without any credential.

The runner has fetched the commit into a bare mirror on this machine; here git reads that mirror
and nothing else. The workspace knows neither the mirror nor a URL afterwards.
"""

from __future__ import annotations

import re

from runners.executor.shapes import Checkout

_COMMIT = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
_SHA1_DIGITS = 40

# Read by git and by the upload-pack that it starts in the mirror, which is another user's.
GIT_CONFIG = """\
[safe]
    directory = *
[protocol]
    allow = never
[protocol "file"]
    allow = always
[core]
    hooksPath = /dev/null
    fsmonitor = false
[uploadpack]
    allowAnySHA1InWant = true
[init]
    defaultBranch = main
[gc]
    auto = 0
[maintenance]
    auto = false
[submodule]
    recurse = false
[credential]
    helper =
[advice]
    detachedHead = false
"""

# No name of a repo or commit stands in the text: each is a variable, after --end-of-options, or
# read from the standard input. The list of tags is written by ``products.git.tags``.
# Without --force git ends well after files that it could not write, where there was no commit.
SCRIPT = """\
set -eu
git init --quiet "--object-format=$CONVEYOR_OBJECT_FORMAT" .
list=$CONVEYOR_MIRROR/conveyor-tags/$CONVEYOR_COMMIT
{
  printf '%s\\n' "$CONVEYOR_COMMIT"
  if [ -z "$CONVEYOR_FETCH_DEPTH" ] && [ -f "$list" ]; then
    while IFS= read -r name; do
      [ -z "$name" ] || printf '%s:%s\\n' "$name" "$name"
    done <"$list"
  fi
} | git fetch --quiet --no-tags --no-write-fetch-head --no-recurse-submodules \\
  $CONVEYOR_FETCH_DEPTH --stdin --end-of-options "$CONVEYOR_MIRROR"
git checkout --quiet --force --detach "$CONVEYOR_COMMIT"
if [ -f .gitmodules ]; then
  echo 'Note: submodules are left out. Fetch them in the job: `git remote add origin URL`,' \\
    '`git submodule update --init`.' >&2
fi
if git grep --quiet --cached -F filter=lfs -- .gitattributes '**/.gitattributes'; then
  echo 'Note: files of Git LFS are left out; their pointers are there. Fetch them in the job:' \\
    '`git remote add origin URL`, `git lfs pull`.' >&2
fi
if [ -n "$CONVEYOR_TAG" ]; then
  tag=refs/tags/$CONVEYOR_TAG
  # The tag may have been moved or removed since the run was created.
  at=$(git rev-parse --quiet --verify "$tag^{commit}" || :)
  [ "$at" = "$CONVEYOR_COMMIT" ] || git update-ref "$tag" "$CONVEYOR_COMMIT"
fi
"""


def checkout_environment(checkout: Checkout, config_path: str) -> dict[str, str]:
    """Return the variables that ``SCRIPT`` needs; raise ValueError unless the commit id is full."""
    if not _COMMIT.fullmatch(checkout.commit):
        raise ValueError(f"{checkout.commit!r} is no full commit id")
    return {
        "CONVEYOR_MIRROR": checkout.mirror_path,
        "CONVEYOR_COMMIT": checkout.commit,
        "CONVEYOR_OBJECT_FORMAT": "sha1" if len(checkout.commit) == _SHA1_DIGITS else "sha256",
        "CONVEYOR_TAG": checkout.tag,
        "CONVEYOR_FETCH_DEPTH": f"--depth={checkout.depth}" if checkout.depth else "",
        "GIT_CONFIG_GLOBAL": config_path,
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_ALLOW_PROTOCOL": "file",
    }
