"""Starts a web service, prints what it answers, and stops it."""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from urllib.parse import urlencode
from urllib.request import ProxyHandler, build_opener

PATIENCE_S = 20
# The service is on this machine, whatever proxy leads to others.
direct = build_opener(ProxyHandler({}))


def get(url: str) -> str:
    """Return the text behind a URL."""
    with direct.open(url, timeout=PATIENCE_S) as answer:
        return answer.read().decode().strip()


def ask(address: str, language: str) -> dict[str, str]:
    """Return {what was asked: answer}."""
    if json.loads(get(f"{address}/healthz"))["status"] != "ok":
        sys.exit("The service says that it is not well.")
    question = urlencode({"name": "Conveyor", "language": language})
    return {
        "version": json.loads(get(f"{address}/version"))["version"],
        "greeting": get(f"{address}/?{question}"),
    }


def main() -> None:
    """Do what the command line says."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("program")
    parser.add_argument("--language", default="en")
    options = parser.parse_args()
    command = [options.program, "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as service:
        try:
            address = service.stdout.readline().strip()
            if not address:
                sys.exit(f"The service did not start: {options.program}")
            for what, answer in ask(address, options.language).items():
                print(what, answer)
        finally:
            service.terminate()


if __name__ == "__main__":
    main()
