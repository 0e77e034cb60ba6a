"""Packs the service into one file that Python starts; the same source gives the same bytes."""

from __future__ import annotations

import argparse
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
START = "#!/usr/bin/env python3\n"
MAIN = "import sys\n\nfrom service.server import main\n\nsys.exit(main())\n"


def contents(version: str) -> dict[str, bytes]:
    """Return {name in the package: bytes}."""
    files = {f"service/{path.name}": path.read_bytes() for path in (ROOT / "service").glob("*.py")}
    return {**files, "__main__.py": MAIN.encode(), "service/version.txt": version.encode()}


def pack(version: str, target: Path) -> None:
    """Write the package. See https://docs.python.org/3/library/zipapp.html for its form."""
    with target.open("wb") as file:
        file.write(START.encode())
        with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, data in sorted(contents(version).items()):
                archive.writestr(zipfile.ZipInfo(name), data, zipfile.ZIP_DEFLATED)
    target.chmod(0o755)


def main() -> None:
    """Do what the command line says."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--version", required=True)
    parser.add_argument("--output", required=True, type=Path)
    options = parser.parse_args()
    pack(options.version, options.output)
    print(f"Package {options.version}: {options.output.stat().st_size} bytes.")


if __name__ == "__main__":
    main()
