"""Which migrations may run while servers of the version before still work with the database.

In a rolling deploy old tasks serve on the new schema until they are replaced. That goes well if
a migration only adds: tables, indexes, columns that may stay empty. Which of MLflow's do is read
from their version files, whatever they may be called: a step that is not known to be harmless
counts as one that is not. Start at `check_rollout`.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence
from pathlib import Path

from headgate.database.revisions import Schema, pending_files
from headgate.errors import DatabaseError

_HARMLESS = frozenset(
    {
        "batch_alter_table",  # what happens inside it is looked at by itself
        "create_index",
        "create_table",
        "f",
        "get_bind",
        "get_context",
    }
)
_OPERATORS = frozenset({"op", "batch_op"})
_RUNS_STATEMENTS = frozenset({"execute", "bulk_insert", "add_all", "merge", "query"})


def check_rollout(schemas: Sequence[Schema], edge: str, *, maintenance: bool) -> None:
    """Refuse migrations that old servers could not live with, where such may run.

    `edge` is the setting: only in AWS are there rolling deploys. Raises `DatabaseError`.
    """
    if edge == "none" or maintenance:
        return
    reasons = [reason for schema in schemas for reason in not_additive(schema)]
    if reasons:
        raise DatabaseError(
            "This migration changes what servers of the version before work with, so it may not "
            f"ride a rolling deploy: {'; '.join(reasons)}.",
            hint="headgate aws deploy --maintenance stops every task, takes a snapshot, migrates "
            "and starts them again.",
        )


def not_additive(schema: Schema) -> list[str]:
    """What a chain's pending migrations do beside adding, each in words; empty: they only add.

    A database without data has no servers, and nothing to lose.
    """
    if schema.found is None and schema.standing != "behind":
        return []
    return [
        f"{file.stem.partition('_')[0]} ({', '.join(steps)})"
        for file in pending_files(schema.chain, schema.found)
        if (steps := steps_beside_adding(file))
    ]


def steps_beside_adding(file: Path) -> list[str]:
    """The operations of a version file's upgrade that are not known to be harmless, sorted."""
    tree = ast.parse(file.read_text(encoding="utf-8"))
    return sorted({name for call in _upgrading_calls(tree) if (name := _risk(call)) is not None})


def _upgrading_calls(tree: ast.Module) -> Iterator[ast.Call]:
    """Every call in `upgrade` and in its helpers; a helper of `downgrade` alone counts too."""
    for node in tree.body:
        if isinstance(node, ast.FunctionDef) and "downgrade" not in node.name:
            yield from (part for part in ast.walk(node) if isinstance(part, ast.Call))


def _risk(call: ast.Call) -> str | None:
    """The name of a step that may hurt an old server; None for one that does not."""
    if not isinstance(call.func, ast.Attribute):
        return None
    name = call.func.attr
    on_operator = isinstance(call.func.value, ast.Name) and call.func.value.id in _OPERATORS
    if not on_operator:
        return name if name in _RUNS_STATEMENTS else None
    if name == "add_column":
        return None if _may_stay_empty(call) else "add_column that must be filled"
    return None if name in _HARMLESS else name


def _may_stay_empty(call: ast.Call) -> bool:
    """Whether rows of a server that does not know the new column are still taken."""
    columns = [part for part in call.args if isinstance(part, ast.Call)]
    if len(columns) != 1:
        return False
    options = {option.arg: option.value for option in columns[0].keywords}
    if "server_default" in options:
        return True
    nullable = options.get("nullable")
    return nullable is None or (isinstance(nullable, ast.Constant) and nullable.value is True)
