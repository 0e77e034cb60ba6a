"""Statements that are compiled once say what Django's own would, with each call's values."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID

import pytest
from django.db import IntegrityError, connection, transaction
from django.db.models import CharField, F, UUIDField
from django.db.models.functions import Now
from django.db.transaction import TransactionManagementError
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from products.identifiers import uuid7
from products.models import OutboxRow, Product
from products.remembered import Remembered
from products.statements import (
    Given,
    Select,
    SelectOne,
    columns_of,
    insert_rows,
    preload,
    update_where,
)
from tests import builders

pytestmark = [pytest.mark.django_db, pytest.mark.database]


def a_row(key: str, **columns: object) -> OutboxRow:
    return OutboxRow(id=uuid7(), kind="hint", key=key, payload={"é": [1, None]}, **columns)


def test_a_select_gives_the_rows_of_each_calls_values() -> None:
    one, other = builders.a_product("one"), builders.a_product("other")
    by_name = Select(
        lambda: Product.objects.filter(name=Given("name", CharField())).values_list("id", "name")
    )
    assert [tuple(row) for row in by_name.rows(name="one")] == [(one.id, "one")]
    assert tuple(by_name.row(name="other")) == (other.id, "other")
    assert by_name.row(name="none") is None


def test_values_come_back_as_django_gives_them() -> None:
    row = a_row("key", due_at=timezone.now())
    row.save()
    read = Select(
        lambda: OutboxRow.objects.filter(id=Given("id", UUIDField())).values_list(
            "id", "payload", "due_at"
        )
    )
    found = read.row(id=row.id)
    assert list(found) == [row.id, row.payload, OutboxRow.objects.get().due_at]
    assert isinstance(found[0], UUID)


def test_an_update_counts_its_rows_and_heeds_every_condition() -> None:
    product = builders.a_product("one")
    where = {"id": product.id, "archived_at__isnull": True}
    assert update_where(Product, where, {"description": "first", "archived_at": None}) == 1
    assert update_where(Product, where, {"description": "next", "archived_at": Now()}) == 1
    assert update_where(Product, where, {"description": "late", "archived_at": None}) == 0
    product.refresh_from_db()
    assert product.description == "next"
    assert product.archived_at is not None


def test_expressions_that_differ_make_statements_that_differ() -> None:
    row = a_row("key", due_at=timezone.now())
    row.save()
    for step in (1, 2):
        update_where(OutboxRow, {"id": row.id}, {"tries": F("tries") + step})
    assert OutboxRow.objects.get().tries == 3
    for seconds in (60, 600):
        update_where(OutboxRow, {"id": row.id}, {"due_at": Now() + timedelta(seconds=seconds)})
        wait = OutboxRow.objects.get().due_at - timezone.now()
        assert abs(wait.total_seconds() - seconds) < 30


def test_rows_are_inserted_with_all_their_columns() -> None:
    rows = [a_row("one", due_at=Now()), a_row("other", due_at=Now())]
    insert_rows(OutboxRow, [columns_of(row) for row in rows])
    stored = OutboxRow.objects.order_by("id").values_list("id", "kind", "key", "payload")
    assert list(stored) == [(row.id, row.kind, row.key, row.payload) for row in rows]
    first, last = OutboxRow.objects.order_by("id").values_list("created_at", flat=True)
    assert first < last


def test_any_number_of_rows_is_inserted() -> None:
    for count in (0, 1, 8, 9, 50, 150):
        insert_rows(
            OutboxRow, [columns_of(a_row(f"{count}:{n}", due_at=Now())) for n in range(count)]
        )
        assert OutboxRow.objects.filter(key__startswith=f"{count}:").count() == count


def test_rows_that_are_there_already_are_left_out_if_that_is_wished() -> None:
    row = a_row("key", due_at=timezone.now())
    for _ in range(2):
        insert_rows(OutboxRow, [columns_of(row)], ignore_conflicts=True)
    assert OutboxRow.objects.count() == 1


def test_an_instance_is_read_whole_or_without_what_is_large() -> None:
    row = a_row("key", due_at=timezone.now())
    row.save()
    by_key = SelectOne(
        OutboxRow,
        lambda columns: OutboxRow.objects.filter(key=Given("key", CharField())).values_list(
            *columns
        ),
        without=["payload"],
    )
    found = by_key.get(key="key")
    assert found == row
    assert found.get_deferred_fields() == {"payload"}
    assert found.payload == row.payload
    assert by_key.get(key="none") is None


def test_what_is_refused_leaves_the_transaction_to_be_rolled_back() -> None:
    row = a_row("key", due_at=timezone.now())
    row.save()
    with pytest.raises(IntegrityError), transaction.atomic():
        insert_rows(OutboxRow, [columns_of(row)])
    assert OutboxRow.objects.count() == 1
    with transaction.atomic():
        with pytest.raises(IntegrityError):
            insert_rows(OutboxRow, [columns_of(row)])
        assert connection.needs_rollback
        transaction.set_rollback(True)


def test_they_are_seen_by_whoever_watches_the_connection() -> None:
    names = Select(lambda: Product.objects.values_list("name"))
    names.rows()
    with CaptureQueriesContext(connection) as watched:
        names.rows()
        update_where(Product, {"name": "none"}, {"description": "new"})
    assert [each["sql"].split()[0] for each in watched] == ["SELECT", "UPDATE"]


def test_what_connections_share_is_made_without_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "connect", lambda: pytest.fail("it connects"))
    preload()


@pytest.mark.django_db(transaction=True)
def test_they_go_on_over_a_new_connection_when_one_was_closed() -> None:
    names = Select(lambda: Product.objects.values_list("name"))
    builders.a_product("one")
    for _ in range(2):
        assert [tuple(row) for row in names.rows()] == [("one",)]
        assert update_where(Product, {"name": "one"}, {"description": "new"}) == 1
        connection.close()


def test_a_transaction_that_is_broken_takes_no_further_statement() -> None:
    with transaction.atomic():
        transaction.set_rollback(True)
        with pytest.raises(TransactionManagementError):
            update_where(Product, {"name": "one"}, {"description": "new"})


def test_what_is_remembered_is_bounded_and_forgets_what_was_used_longest_ago() -> None:
    memory: Remembered[str, int] = Remembered(2)
    memory.put("a", 1)
    memory.put("b", 2)
    assert memory.get("a") == 1
    memory.put("c", 3)
    assert (memory.get("a"), memory.get("b"), memory.get("c")) == (1, None, 3)
