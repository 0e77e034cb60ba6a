"""A job opens its own streams by name, and others may read what it packs."""

from __future__ import annotations

import shutil

import pytest

from tests.runners.executor.attempts import Lab

WAYS = {
    "redirection": "echo {text} > /dev/{stream}",
    "descriptor": "echo {text} > /dev/fd/{number}",
    "tee": "echo {text} | tee /dev/stderr 2>&{number} > /dev/null",
    "cp": "echo {text} > one; cp one /dev/{stream}",
    "child shell": "sh -c 'echo {text} > /dev/{stream}'",
    "python": """python3 -c 'print("{text}", file=open("/dev/{stream}", "w"))'""",
}


@pytest.mark.parametrize("way", WAYS)
def test_streams_can_be_opened_by_name(lab_of_each_level: Lab, way: str) -> None:
    lab = lab_of_each_level

    def write(text: str) -> str:
        lines = [
            WAYS[way].format(text=text, stream=stream, number=number)
            for stream, number in (("stdout", 1), ("stderr", 2))
        ]
        return "\n".join(lines)

    result = lab.run(
        "\n".join((write("pre-run"), write("main"))), post_run=write("post-run"), language="sh"
    )
    assert (result.outcome, result.message) == ("succeeded", "")
    for stream in ("stdout", "stderr"):
        assert lab.reporter.text(stream).split() == ["pre-run", "main", "post-run"]


def test_made_files_are_readable_by_all(lab_of_each_level: Lab) -> None:
    lab = lab_of_each_level
    lab.run("mkdir made; : > made/file; tar -c . | tar -tv | cut -c1-10")
    assert lab.reporter.text("stdout").split() == ["drwxr-xr-x", "drwxr-xr-x", "-rw-r--r--"]


@pytest.mark.skipif(shutil.which("dpkg-deb") is None, reason="dpkg-deb is not installed")
def test_debian_package_can_be_built(lab: Lab) -> None:
    control = "Package: hello\\nVersion: 1\\nArchitecture: all\\nMaintainer: A <a@example.org>\\n"
    result = lab.run(
        "mkdir -p out/DEBIAN out/opt; touch out/opt/file\n"
        f"printf '{control}Description: x\\n' > out/DEBIAN/control\n"
        "dpkg-deb --build out hello.deb\n"
        "dpkg-deb --contents hello.deb | cut -c1-10"
    )
    assert (result.outcome, result.message) == ("succeeded", "")
    assert lab.reporter.text("stdout").split()[-3:] == ["drwxr-xr-x", "drwxr-xr-x", "-rw-r--r--"]
