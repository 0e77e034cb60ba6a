"""Builds the image: a tar file of a root file system; the same input gives the same bytes."""

from __future__ import annotations

import argparse
import gzip
import hashlib
import io
import json
import tarfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1] / "root"
PROGRAM = "usr/lib/web-service/web-service.pyz"
MANIFEST = "etc/image.json"


def contents(package: bytes) -> dict[str, bytes]:
    """Return {path in the image: bytes}, without the manifest."""
    paths = (path for path in ROOT.rglob("*") if path.is_file())
    files = {path.relative_to(ROOT).as_posix(): path.read_bytes() for path in paths}
    return {**files, PROGRAM: package}


def manifest(files: dict[str, bytes], image_version: str, package_version: str) -> bytes:
    """Return what the image says about itself."""
    said = {
        "image-version": image_version,
        "package-version": package_version,
        "files": {path: hashlib.sha256(data).hexdigest() for path, data in sorted(files.items())},
    }
    return json.dumps(said, indent=2).encode()


def write(files: dict[str, bytes], target: Path) -> None:
    """Write the tar file: sorted, owned by root, without times."""
    tarred = io.BytesIO()
    with tarfile.open(fileobj=tarred, mode="w") as archive:
        for path, data in sorted(files.items()):
            entry = tarfile.TarInfo(f"./{path}")
            entry.size = len(data)
            entry.mode = 0o755 if path.startswith("usr/bin/") else 0o644
            archive.addfile(entry, io.BytesIO(data))
    target.write_bytes(gzip.compress(tarred.getvalue(), mtime=0))


def main() -> None:
    """Do what the command line says."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--package", required=True, type=Path)
    parser.add_argument("--output", required=True, type=Path)
    parser.add_argument("--image-version", required=True)
    parser.add_argument("--package-version", required=True)
    options = parser.parse_args()
    files = contents(options.package.read_bytes())
    files[MANIFEST] = manifest(files, options.image_version, options.package_version)
    write(files, options.output)
    size = options.output.stat().st_size
    print(f"Image {options.image_version}: {len(files)} files, {size} bytes.")


if __name__ == "__main__":
    main()
