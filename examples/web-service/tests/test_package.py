from __future__ import annotations

import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

TOOL = Path(__file__).resolve().parents[1] / "tools" / "pack.py"


class Package(unittest.TestCase):
    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)

    def pack(self, name: str, version: str) -> Path:
        target = self.folder / name
        command = [sys.executable, str(TOOL), "--version", version, "--output", str(target)]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        return target

    def test_a_package_runs_anywhere_and_knows_its_version(self) -> None:
        package = self.pack("service.pyz", "1.2.3+abc")
        command = [sys.executable, str(package), "--version"]
        said = subprocess.run(command, check=True, capture_output=True, cwd=self.folder)
        self.assertEqual(said.stdout.decode(), "1.2.3+abc\n")

    def test_the_same_source_gives_the_same_package_to_the_byte(self) -> None:
        first, second = self.pack("a.pyz", "1.0"), self.pack("b.pyz", "1.0")
        self.assertEqual(first.read_bytes(), second.read_bytes())
