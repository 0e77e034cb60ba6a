"""Statements that are compiled once and executed often.

Django builds and compiles a query anew each time it is used, which takes several times as long as
executing it does. Here it compiles the query once, with ``Given`` in the place of values; what the
database receives is the same. For the few statements that every job needs.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Any, Generic, TypeVar

from django.db import DEFAULT_DB_ALIAS, connection, connections, transaction
from django.db.models import Expression, Field, Model, QuerySet
from django.db.models.constants import OnConflict
from django.db.models.sql import InsertQuery, UpdateQuery

from products.remembered import Remembered

_REMEMBERED = 256
#: Statements are compiled for so many rows at the most.
_FEW = 8
#: Executions after which a statement counts as one that comes often.
_PLANNED_AFTER = 5


def keep_plans() -> None:
    """Have PostgreSQL keep the plans of the statements that this process executes often.

    Called before the process connects. ``server_side_binding=0`` in the database's URL forbids it.
    """
    if connection.vendor == "postgresql":
        options = connection.settings_dict["OPTIONS"]
        if options.setdefault("server_side_binding", True):
            options.setdefault("prepare_threshold", _PLANNED_AFTER)


class Given(Expression):
    """A value that is given when the statement is executed, of the kind that ``field`` stores."""

    def __init__(self, name: str, field: Field[Any, Any]) -> None:
        super().__init__(output_field=field)
        self.name = name

    def as_sql(self, compiler: Any, connection: Any) -> tuple[str, Any]:
        """Return a placeholder, and itself as what is to be replaced."""
        return "%s", (self,)

    def of(self, values: Mapping[str, Any], database: Any) -> Any:
        """Return the value as the database takes it."""
        return self.output_field.get_db_prep_value(values[self.name], database)


Parameters = Sequence[Any]
Row = TypeVar("Row", bound=Model)


def _filled(database: Any, parameters: Parameters, values: Mapping[str, Any]) -> list[Any]:
    return [each.of(values, database) if isinstance(each, Given) else each for each in parameters]


def _is_expression(value: Any) -> bool:
    return hasattr(value, "resolve_expression")


# --- Reading --------------------------------------------------------------------------------------
class Select:
    """A query with ``values_list``; ``build`` makes it when it is executed for the first time."""

    def __init__(self, build: Callable[[], QuerySet[Any, Any]]) -> None:
        self._build = build
        self._compiled: dict[str, tuple[str, Parameters, Any, Any]] = {}

    def rows(self, **values: Any) -> list[Any]:
        """Return all rows, as lists or tuples."""
        database = connections[DEFAULT_DB_ALIAS]
        compiled = self._compiled.get(database.vendor)
        if compiled is None:
            compiled = self._compiled[database.vendor] = self._compile()
        sql, parameters, compiler, converters = compiled
        given = _filled(database, parameters, values)
        rows: list[Any] = _executed(database, sql, given, _all_rows)
        return list(compiler.apply_converters(rows, converters)) if converters else rows

    def row(self, **values: Any) -> Any:
        """Return the first row, None if there is none."""
        return next(iter(self.rows(**values)), None)

    def _compile(self) -> tuple[str, Parameters, Any, Any]:
        compiler: Any = self._build().query.get_compiler(connection.alias)
        sql, parameters = compiler.as_sql()
        converters = compiler.get_converters([each[0] for each in compiler.select])
        return sql, parameters, compiler, converters


class SelectOne(Generic[Row]):
    """A query for one row of a model, as an instance; ``build`` is told which columns to read.

    ``without`` are fields that are read when they are asked for.
    """

    def __init__(
        self,
        model: type[Row],
        build: Callable[[list[str]], QuerySet[Any, Any]],
        *,
        without: Collection[str] = (),
    ) -> None:
        self._model = model
        self._build = build
        self._without = without
        self._select = Select(lambda: self._build(self._columns()))

    def get(self, **values: Any) -> Row | None:
        """Return the instance, None if there is none."""
        row = self._select.row(**values)
        return self._model.from_db(DEFAULT_DB_ALIAS, self._columns(), row) if row else None

    def _columns(self) -> list[str]:
        fields = self._model._meta.concrete_fields
        return [field.attname for field in fields if field.name not in self._without]


# --- Writing --------------------------------------------------------------------------------------
_statements: Remembered[Any, tuple[str, Parameters]] = Remembered(_REMEMBERED)


def update_where(model: type[Model], where: Mapping[str, Any], columns: Mapping[str, Any]) -> int:
    """Update the rows that ``where`` describes as ``filter`` does; return how many they were.

    Values may be expressions: another statement is compiled for each that reads differently.
    """
    database = connections[DEFAULT_DB_ALIAS]
    key = (database.vendor, model, "update", *_shape(where), "set", *_shape(columns))
    statement = _statements.get(key)
    if statement is None:
        statement = _compiled_update(model, where, columns)
        _statements.put(key, statement)
    values = {**where, **{f"={name}": value for name, value in columns.items()}}
    return _execute(database, *statement, values)


def _shape(values: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Yield what makes it another statement: the names, and the values that become part of it."""
    for name, value in values.items():
        yield name, repr(value) if _is_expression(value) or name.endswith("__isnull") else None


def _compiled_update(
    model: type[Model], where: Mapping[str, Any], columns: Mapping[str, Any]
) -> tuple[str, Parameters]:
    wanted = {name: _placed(model, name, name, value) for name, value in where.items()}
    query: Any = model._default_manager.filter(**wanted).query.chain(UpdateQuery)
    query.add_update_values(
        {name: _placed(model, name, f"={name}", value) for name, value in columns.items()}
    )
    sql, parameters = query.get_compiler(connection.alias).as_sql()
    return sql, parameters


def _placed(model: type[Model], name: str, given: str, value: Any) -> Any:
    """Return what stands in a statement for a value of a field, or of a lookup of it."""
    if _is_expression(value) or name.endswith("__isnull"):
        return value
    return Given(given, _field(model, name.partition("__")[0]))


def _field(model: type[Model], name: str) -> Any:
    return model._meta.get_field(name)


def insert_rows(
    model: type[Model], rows: Sequence[Mapping[str, Any]], *, ignore_conflicts: bool = False
) -> None:
    """Insert rows that all have values for the same fields; all others have the database's default.

    Values may be expressions. ``ignore_conflicts`` leaves out rows that are there already. A few
    rows are inserted by a statement that is compiled once for their number, more by Django itself.
    """
    if len(rows) > _FEW:
        many = [model(**row) for row in rows]
        model._default_manager.bulk_create(many, ignore_conflicts=ignore_conflicts)
        return
    if not rows:
        return
    database = connections[DEFAULT_DB_ALIAS]
    on_conflict = OnConflict.IGNORE if ignore_conflicts else None
    key = (database.vendor, model, "insert", on_conflict, *(tuple(_shape(row)) for row in rows))
    statement = _statements.get(key)
    if statement is None:
        statement = _compiled_insert(model, rows, on_conflict)
        _statements.put(key, statement)
    values = {f"{name}{n}": value for n, row in enumerate(rows) for name, value in row.items()}
    _execute(database, *statement, values)


def columns_of(row: Model) -> dict[str, Any]:
    """Return the values of a model's instance as ``insert_rows`` takes them."""
    return {field.attname: field.pre_save(row, add=True) for field in row._meta.concrete_fields}


def _compiled_insert(
    model: type[Model], rows: Sequence[Mapping[str, Any]], on_conflict: OnConflict | None
) -> tuple[str, Parameters]:
    objects = [
        model(**{name: _placed(model, name, f"{name}{n}", value) for name, value in row.items()})
        for n, row in enumerate(rows)
    ]
    query: Any = InsertQuery(model, on_conflict=on_conflict)
    # Raw: what a field makes of its value when it is saved, it has made of it already.
    query.insert_values([_field(model, name) for name in rows[0]], objects, raw=True)
    [(sql, parameters)] = query.get_compiler(connection.alias).as_sql()
    return sql, parameters


def _execute(database: Any, sql: str, parameters: Parameters, values: Mapping[str, Any]) -> int:
    with transaction.mark_for_rollback_on_error(using=database.alias):
        return int(_executed(database, sql, _filled(database, parameters, values), _row_count))


# --- Executing ------------------------------------------------------------------------------------
class _Kept(threading.local):
    """The cursor that a thread uses again and again, with the driver's connection that it is of."""

    of: Any = None
    cursor: Any = None


_kept = _Kept()


def _executed(database: Any, sql: str, parameters: Parameters, result: Callable[[Any], Any]) -> Any:
    """Execute a statement and return what ``result`` makes of the cursor.

    As Django does it, without the objects that it makes for each statement. Where somebody
    watches what is executed, it is done by Django itself.
    """
    if database.execute_wrappers or database.queries_logged or database.connection is None:
        with database.cursor() as watched:
            watched.execute(sql, parameters)
            return result(watched)
    database.validate_no_broken_transaction()
    with database.wrap_database_errors:
        if _kept.of is not database.connection:
            _kept.of, _kept.cursor = database.connection, database.create_cursor()
        _kept.cursor.execute(sql, parameters)
        return result(_kept.cursor)


def _all_rows(cursor: Any) -> Any:
    return cursor.fetchall()


def _row_count(cursor: Any) -> Any:
    return cursor.rowcount
