"""Which driver a URI means, and what of it may be shown."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headgate.database.uris import kind, normal_uri, redact, without_secrets
from headgate.errors import SettingsError
from headgate.settings.database import sqlite_file


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("postgresql://u@h/d", "postgresql+psycopg://u@h/d"),
        ("postgres://u@h/d", "postgresql+psycopg://u@h/d"),
        ("mysql://u@h/d", "mysql+pymysql://u@h/d"),
        ("mariadb://u@h/d", "mysql+pymysql://u@h/d"),
        ("sqlite:///mlflow.db", "sqlite:///mlflow.db"),
        ("postgresql+psycopg2://u@h/d", "postgresql+psycopg2://u@h/d"),
        ("mysql+mysqldb://u@h/d", "mysql+mysqldb://u@h/d"),
    ],
)
def test_a_uri_without_driver_means_the_driver_we_ship(written: str, meant: str) -> None:
    assert normal_uri(written) == meant


def test_a_typo_in_the_scheme_is_answered_with_the_schemes_there_are() -> None:
    with pytest.raises(SettingsError, match=r"'postgress'\. Use sqlite, postgresql or mysql"):
        normal_uri("postgress://u:secret@h/d")


@pytest.mark.parametrize("folder", ["./mlruns", "/data/mlruns", "file:///data/mlruns"])
def test_a_file_store_is_refused_with_the_command_that_converts_it(folder: str) -> None:
    with pytest.raises(SettingsError) as refused:
        normal_uri(folder)
    assert "mlflow migrate-filestore" in (refused.value.hint or "")


def test_kinds_do_not_depend_on_drivers() -> None:
    uris = ["sqlite:///x", "postgres://h/d", "postgresql+psycopg2://h/d", "mysql+mysqldb://h/d"]
    assert [kind(uri) for uri in uris] == ["sqlite", "postgresql", "postgresql", "mysql"]


def test_the_file_of_a_sqlite_uri() -> None:
    assert sqlite_file("sqlite:////data/mlflow.db?timeout=3") == Path("/data/mlflow.db")
    assert sqlite_file("postgresql://h/d") is None


@pytest.mark.parametrize(
    ("uri", "shown"),
    [
        ("postgresql://me:pw@h:5432/d", "postgresql://me:***@h:5432/d"),
        ("postgresql://me@h/d", "postgresql://me@h/d"),
        ("mysql://me:p/w?a@b@h/d", "mysql://me:***@h/d"),
        ("postgresql://h/d?user=me&password=pw&x=1", "postgresql://h/d?user=me&password=***&x=1"),
        ("sqlite:////data/mlflow.db", "sqlite:////data/mlflow.db"),
    ],
)
def test_what_is_shown_of_a_uri(uri: str, shown: str) -> None:
    assert redact(uri) == shown


@given(password=st.text(alphabet="abcXYZ019/@:?#&=%+ ", min_size=12))
def test_no_spelling_of_a_password_survives_redaction(password: str) -> None:
    assert password not in redact(f"postgresql://me:{password}@host/store")


def test_text_that_repeats_a_password_is_cleaned_in_both_spellings() -> None:
    uri = "mysql://me:p%40ss%2Fword@h/d"
    text = "tried p@ss/word, then p%40ss%2Fword"
    assert without_secrets(text, uri) == "tried ***, then ***"
