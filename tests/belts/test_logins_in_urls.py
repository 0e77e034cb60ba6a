"""A login in the URL of a repository is repeated nowhere: it would be shown to all viewers."""

from __future__ import annotations

from pathlib import Path

import pytest

from belts.import_report import to_document, to_text
from belts.importing import ImportOptions, import_sources
from belts.repository import other_repository, other_triggers
from belts.spec.names import quoted
from belts.spec.parse import parse_belt_text
from belts.spec.problems import Problem, to_json
from products.git.errors import SourceUrlError
from products.git.logins import shown
from products.git.urls import parse_url
from products.models import Product, Source

SECRETS = [
    "https://bot:s3cr3t@git.example/x.git",
    "https://s3cr3t@git.example/x.git",
    "https://bot:p@s3cr3t@git.example/x.git",
    "https://bot:p/s3cr3t@git.example/x.git",
    "https://bot:p@/s3cr3t@git.example/x.git",
    "https://bot:it's3cr3t@git.example/x.git",
    "https://bot:p?s3cr3t@git.example/x.git",
    "https://git.example/x.git?token=s3cr3t",
    "bot:s3cr3t@git.example/x.git:x",
    "bot:p/s3cr3t@git.example/x.git:x",
]
# Each as it is written, and as it is shown.
TEXTS = [
    ("https://git.example:8443/x.git", "https://git.example:8443/x.git"),
    ("https://bot:pw@git.example:8443/x.git", "https://git.example:8443/x.git"),
    ("https://bot:1/pw@git.example/x.git", "https://git.example/x.git"),
    ("https://git.example/x@v1", "https://git.example/x@v1"),
    ("https://git.example/x?", "https://git.example/x?"),
    ("git@git.example:x.git", "git@git.example:x.git"),
    ("bot:pw@git.example:x.git", "git.example:x.git"),
    ("/srv/it's here?/x@y", "/srv/it's here?/x@y"),
    ('{"a":"https://b:c@d.example/e","f":"g@h"}', '{"a":"https://d.example/e","f":"g@h"}'),
    ("curl 'https://a.example/b?c=d' | mail e@f", "curl 'https://a.example/b?…' | mail e@f"),
    ("see https://a:b@c.example, or d:e@f.example:g.", "see https://c.example, or f.example:g."),
]
FILE = """\
product: thing
source: {url}
triggers:
  - scm-event:
      type: push
      repo: {url}
      belts: build
belts:
  - name: build
    jobs:
      - {{name: compile, commands: make}}
"""


@pytest.mark.parametrize(("written", "expected"), TEXTS)
def test_logins_and_queries_are_left_out_alone(written: str, expected: str) -> None:
    assert shown(written) == expected


@pytest.mark.parametrize("url", SECRETS)
def test_messages_and_excerpts_leave_logins_out(url: str) -> None:
    line = f"source: {url}"
    said = [quoted(url), shown(url)]
    for column in range(1, len(line) + 1):
        problem = Problem("source.url", "error", "No.", line=1, column=column)
        said.append(to_json([problem], line)[0]["excerpt"])
    assert not [text for text in said if "s3cr3t" in text]
    assert all("git.example/x.git" in text for text in said)


@pytest.mark.parametrize(
    "url",
    [
        *SECRETS,
        "https://bot:s3 s3cr3t@git.example/x.git",
        "bot:s3cr3t://git.example/x.git",
        "bot:s3 s3cr3t@git.example:x.git",
    ],
)
def test_addresses_with_logins_are_refused_without_repeating_them(url: str) -> None:
    with pytest.raises(SourceUrlError) as refused:
        parse_url(url)
    assert "s3cr3t" not in str(refused.value)


@pytest.mark.django_db
@pytest.mark.parametrize("url", SECRETS)
def test_report_of_an_import_leaves_the_login_out(url: str, tmp_path: Path) -> None:
    (tmp_path / ".conveyor.yml").write_text(FILE.format(url=url))
    outcomes = import_sources([str(tmp_path), url], ImportOptions(check=True))
    reports = [str(to_text(each, check=True)) + str(to_document(each)) for each in outcomes]
    assert [each.failed for each in outcomes] == [True, True]
    assert "s3cr3t" not in "".join(reports)


@pytest.mark.django_db
@pytest.mark.parametrize("url", SECRETS)
def test_warnings_of_a_pushed_file_leave_the_login_out(url: str) -> None:
    product = Product.objects.create(name="thing")
    Source.objects.create(product=product, url="https://git.example/other.git")
    text = FILE.format(url=url)
    file = parse_belt_text(text).file
    assert file is not None
    problems = [
        *other_repository(product, file),
        *other_triggers(file, "https://git.example/other.git"),
    ]
    said = str(to_json(problems, text))
    assert {each.code for each in problems} == {"product.other-source", "trigger.other-repository"}
    assert "s3cr3t" not in said
    assert "git.example/x.git" in said
