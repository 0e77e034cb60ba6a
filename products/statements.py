"""Statements that are compiled once and executed often.

Django builds and compiles a query for each use, which takes several times as long as its execution.
This module compiles a query once, with ``Given`` in the place of values. The database receives the
same statement. It is for the few statements that every job needs.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime, timedelta
from functools import lru_cache
from importlib import import_module
from typing import Any, Generic, NamedTuple, TypeVar
from uuid import UUID

from django.conf import settings
from django.db import DEFAULT_DB_ALIAS, connection, connections, transaction
from django.db.models import CharField, Expression, Field, Model, QuerySet, TextField, UUIDField
from django.db.models.constants import OnConflict
from django.db.models.expressions import Combinable
from django.db.models.functions import Now
from django.db.models.sql import InsertQuery, UpdateQuery

from products.remembered import Remembered

_REMEMBERED = 256
#: Rows are inserted by statements of this size, and the rest by one smaller statement. Of the
#: smaller statements, only those of up to ``_FEW`` rows are cached.
_MANY = 64
_FEW = 8
#: Number of executions after which PostgreSQL prepares a statement.
_PLANNED_AFTER = 5


def keep_plans() -> None:
    """Have PostgreSQL keep the plans of the statements that this process executes often.

    Called before the process connects. ``server_side_binding=0`` in the database's URL forbids it.
    """
    if connection.vendor == "postgresql":
        options = connection.settings_dict["OPTIONS"]
        if options.setdefault("server_side_binding", True):
            options.setdefault("prepare_threshold", _PLANNED_AFTER)


def preload() -> None:
    """Make what all connections of a process share, so that children which it forks share it too.

    Opens no connection.
    """
    if connection.vendor == "postgresql":
        adapters = import_module("django.db.backends.postgresql.psycopg_any")
        adapters.get_adapters_template(settings.USE_TZ, connection.timezone)


#: The moment of a statement: one object, since making one costs as much as executing it.
NOW = Now()


@lru_cache(_REMEMBERED)
def later(seconds: float) -> Combinable:
    """Return the time that is ``seconds`` after the time of the statement."""
    return NOW + timedelta(seconds=seconds)


Row = TypeVar("Row", bound=Model)
#: The values that a statement is executed with, by name; ``Given.source`` is the number of one.
Sources = Sequence[Mapping[str, Any]]


class _Column:
    """What is given by a name, and how the database takes it."""

    __slots__ = ("_field", "_is_id", "_is_text", "_name")

    def __init__(self, name: str, field: Field[Any, Any]) -> None:
        self._name = name
        self._field = field
        self._is_text = type(field) in (CharField, TextField)
        self._is_id = type(field) is UUIDField

    def of(self, values: Mapping[str, Any], database: Any) -> Any:
        """Return the value as the database takes it."""
        value = values[self._name]
        kind = type(value)
        # Most are texts and ids, which need no work.
        if value is None or (kind is str and self._is_text):
            return value
        if kind is UUID and self._is_id and database.features.has_native_uuid_field:
            return value
        value = self._field.get_db_prep_value(value, database)
        # Of a member of an enumeration its text: each driver knows that at once.
        return str(value) if self._is_text else value


_column = lru_cache(_REMEMBERED)(_Column)


class Given(Expression):
    """A value that is given when the statement is executed, of the kind that ``field`` stores."""

    def __init__(self, name: str, field: Field[Any, Any], source: int = 0) -> None:
        super().__init__(output_field=field)
        self.column = _column(name, field)
        self.source = source

    def as_sql(self, compiler: Any, connection: Any) -> tuple[str, Any]:
        """Return a placeholder, and itself as what is to be replaced."""
        return "%s", (self,)


class _Statement(NamedTuple):
    """A statement's text, and its parameters in their order.

    A parameter is a source's number with what is given there, or None with a constant.
    """

    sql: str
    parameters: Sequence[tuple[int | None, Any]]

    @classmethod
    def of(cls, database: Any, sql: str, parameters: Sequence[Any]) -> _Statement:
        """Return the statement; for PostgreSQL with its constants in its text.

        There a plan for all values of a parameter looks worse than one for the value that it always
        has, so that the statement would be planned each time.
        """
        placed = [
            (each.source, each.column) if isinstance(each, Given) else (None, each)
            for each in parameters
        ]
        if database.vendor != "postgresql" or "%%" in sql:
            return cls(sql, placed)
        first, *pieces = sql.split("%s")
        text, rest = [first], []
        for parameter, piece in zip(placed, pieces, strict=True):
            literal = _literal(parameter[1])
            text += ["%s" if literal is None else literal, piece]
            rest += [parameter] if literal is None else []
        return cls("".join(text), rest)

    def filled(self, sources: Sources, database: Any) -> list[Any]:
        """Return the parameters as the database takes them."""
        return [
            what if source is None else what.of(sources[source], database)
            for source, what in self.parameters
        ]


def _literal(value: Any) -> str | None:
    """Return a constant as SQL writes it, None for all but plain words and counts."""
    if isinstance(value, str) and value.isascii() and value.isalnum():
        return f"'{value}'"
    if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        return str(int(value))
    return None


# --- Reading --------------------------------------------------------------------------------------
class Select:
    """A query with ``values_list``; ``build`` makes it when it is executed for the first time."""

    def __init__(self, build: Callable[[], QuerySet[Any, Any]]) -> None:
        self._build = build
        self._compiled: dict[str, tuple[_Statement, Any, Any]] = {}

    def rows(self, **values: Any) -> list[Any]:
        """Return all rows, as lists or tuples."""
        database = connections[DEFAULT_DB_ALIAS]
        compiled = self._compiled.get(database.vendor)
        if compiled is None:
            compiled = self._compiled[database.vendor] = self._compile()
        statement, compiler, converters = compiled
        rows: list[Any] = _executed(database, statement, (values,), _all_rows)
        return list(compiler.apply_converters(rows, converters)) if converters else rows

    def row(self, **values: Any) -> Any:
        """Return the first row, None if there is none."""
        return next(iter(self.rows(**values)), None)

    def _compile(self) -> tuple[_Statement, Any, Any]:
        compiler: Any = self._build().query.get_compiler(connection.alias)
        statement = _Statement.of(connection, *compiler.as_sql())
        return statement, compiler, compiler.get_converters([each[0] for each in compiler.select])


class SelectOne(Generic[Row]):
    """A query for one row of a model, as an instance; ``build`` takes the columns to read.

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
_statements: Remembered[Any, _Statement] = Remembered(_REMEMBERED)


def update_where(model: type[Model], where: Mapping[str, Any], columns: Mapping[str, Any]) -> int:
    """Update the rows that ``where`` describes as ``filter`` does; return how many they were.

    Values may be expressions: another statement is compiled for each that reads differently.
    """
    database = connections[DEFAULT_DB_ALIAS]
    key = (database.vendor, model, _shape(where), _shape(columns))
    statement = _statements.get(key)
    if statement is None:
        statement = _compiled_update(model, where, columns)
        _statements.put(key, statement)
    return _execute(database, statement, (where, columns))


_PLAIN = frozenset({str, int, UUID, type(None), datetime, dict, list})


def _shape(values: Mapping[str, Any]) -> tuple[Any, ...]:
    """Return what makes it another statement: the names, and the values that become part of it."""
    return (
        *values,
        *[
            (name, _reading_of(value))
            for name, value in values.items()
            if type(value) not in _PLAIN and _is_part(name, value)
        ],
    )


def _is_part(name: str, value: Any) -> bool:
    """Whether the value stands in the statement, instead of being given each time."""
    return hasattr(value, "resolve_expression") or name.endswith("__isnull")


def _reading_of(value: Any) -> str:
    """Return how the value reads, which an expression is asked for once."""
    attributes = getattr(value, "__dict__", {})
    reading = attributes.get("_reading")
    if reading is None:
        reading = attributes["_reading"] = repr(value)
    return str(reading)


def _compiled_update(
    model: type[Model], where: Mapping[str, Any], columns: Mapping[str, Any]
) -> _Statement:
    wanted = {name: _placed(model, name, value, 0) for name, value in where.items()}
    query: Any = model._default_manager.filter(**wanted).query.chain(UpdateQuery)
    query.add_update_values(
        {name: _placed(model, name, value, 1) for name, value in columns.items()}
    )
    return _Statement.of(connection, *query.get_compiler(connection.alias).as_sql())


def _placed(model: type[Model], name: str, value: Any, source: int) -> Any:
    """Return what stands in a statement for a value of a field, or of a lookup of it."""
    if _is_part(name, value):
        return value
    return Given(name, _field(model, name.partition("__")[0]), source)


def _field(model: type[Model], name: str) -> Any:
    return model._meta.get_field(name)


def insert_rows(
    model: type[Model], rows: Sequence[Mapping[str, Any]], *, ignore_conflicts: bool = False
) -> None:
    """Insert rows that all have values for the same fields; all others have the database's default.

    Values may be expressions. ``ignore_conflicts`` leaves out rows that are there already. Of many
    rows, those of one statement are inserted or refused together.
    """
    database = connections[DEFAULT_DB_ALIAS]
    on_conflict = OnConflict.IGNORE if ignore_conflicts else None
    portion = _portion(database, len(rows[0])) if rows else 1
    for begun in range(0, len(rows), portion):
        some = rows[begun : begun + portion]
        key = (database.vendor, model, on_conflict, *[_shape(row) for row in some])
        statement = _statements.get(key)
        if statement is None:
            statement = _compiled_insert(model, some, on_conflict)
            if len(some) <= _FEW or len(some) == portion:
                _statements.put(key, statement)
        _execute(database, statement, some)


def _portion(database: Any, columns: int) -> int:
    """Return the maximum number of rows that one statement inserts."""
    most = database.features.max_query_params
    return _MANY if most is None else max(1, min(_MANY, most // columns))


def columns_of(row: Model) -> dict[str, Any]:
    """Return the values of a model's instance as ``insert_rows`` takes them."""
    return {field.attname: field.pre_save(row, add=True) for field in row._meta.concrete_fields}


def _compiled_insert(
    model: type[Model], rows: Sequence[Mapping[str, Any]], on_conflict: OnConflict | None
) -> _Statement:
    objects = [
        model(**{name: _placed(model, name, value, n) for name, value in row.items()})
        for n, row in enumerate(rows)
    ]
    query: Any = InsertQuery(model, on_conflict=on_conflict)
    # Raw: what a field makes of its value when it is saved, it has made of it already.
    query.insert_values([_field(model, name) for name in rows[0]], objects, raw=True)
    [(sql, parameters)] = query.get_compiler(connection.alias).as_sql()
    return _Statement.of(connection, sql, parameters)


def _execute(database: Any, statement: _Statement, sources: Sources) -> int:
    try:
        return int(_executed(database, statement, sources, _row_count))
    except Exception:
        with transaction.mark_for_rollback_on_error(using=database.alias):
            raise


# --- Executing ------------------------------------------------------------------------------------
class _ReusedCursor(threading.local):
    """The cursor that a thread reuses, with the connection of the driver that it belongs to."""

    of: Any = None
    cursor: Any = None


_reused = _ReusedCursor()


def _executed(
    database: Any, statement: _Statement, sources: Sources, result: Callable[[Any], Any]
) -> Any:
    """Execute a statement and return what ``result`` makes of the cursor.

    This does the same as Django, without the objects that Django makes for each statement. If
    statements are logged or wrapped, Django executes it.
    """
    parameters = statement.filled(sources, database)
    if database.execute_wrappers or database.queries_logged or database.connection is None:
        with database.cursor() as watched:
            watched.execute(statement.sql, parameters)
            return result(watched)
    database.validate_no_broken_transaction()
    with database.wrap_database_errors:
        if _reused.of is not database.connection:
            _reused.of, _reused.cursor = database.connection, database.create_cursor()
        _reused.cursor.execute(statement.sql, parameters)
        return result(_reused.cursor)


def _all_rows(cursor: Any) -> Any:
    return cursor.fetchall()


def _row_count(cursor: Any) -> Any:
    return cursor.rowcount
