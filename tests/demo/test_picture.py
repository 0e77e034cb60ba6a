from __future__ import annotations

import pytest

from conveyor_site.demo.picture import picture_of
from runs.models import JobRun
from tests.builders import a_belt, a_belt_run, a_consumption, a_product, an_output

pytestmark = [pytest.mark.django_db, pytest.mark.database]


def test_a_chain_is_a_tree_with_the_values_that_went_in_and_came_out() -> None:
    gem = a_belt("build", product=a_product("gem"))
    image = a_belt("pack", product=a_product("image"))
    upstream = a_belt_run({"compile": "succeeded"}, belt=gem)
    downstream = a_belt_run({"assemble": "failed"}, belt=image, upstream=upstream)
    maker = JobRun.objects.get(belt_run=upstream)
    taker = JobRun.objects.get(belt_run=downstream)
    a_consumption(taker, an_output(maker, "VERSION", "1.2"))

    assert picture_of(upstream) == [
        "gem.build #1  succeeded",
        "├── compile  succeeded",
        "│     out  VERSION = 1.2",
        "└──▶ image.pack #1  failed",
        "     ├── assemble  failed",
        "     │     in   gem.build.compile.VERSION = 1.2",
    ]


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("two\nlines", r"two\nlines"),
        ("\x1b[2Jgone", r"\x1b[2Jgone"),
        ("Bonjour, Ça va?", "Bonjour, Ça va?"),
        ("\u202etxt", r"\u202etxt"),
        ("a" * 5000, "a" * 64 + "… (5000 characters)"),
        ('it\'s "so"', 'it\'s "so"'),
    ],
)
def test_a_value_is_one_short_line_that_cannot_command_a_terminal(value: str, shown: str) -> None:
    run = a_belt_run({"compile": "succeeded"})
    an_output(JobRun.objects.get(belt_run=run), "V", value)

    assert picture_of(run)[-1] == f"│     out  V = {shown}"
