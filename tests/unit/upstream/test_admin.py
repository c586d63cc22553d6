"""The first admin's password."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from headgate.errors import HeadgateError
from headgate.settings import Settings
from headgate.upstream.admin import admin_password_file, generated_password
from headgate.upstream.launch import private_folder


def test_a_generated_password_is_strong_private_and_never_replaced(tmp_path: Path) -> None:
    path = generated_password(tmp_path / "admin-password")
    password = path.read_text()
    assert len(password.strip()) >= 24
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert generated_password(path).read_text() == password
    assert [file.name for file in tmp_path.iterdir()] == ["admin-password"]


def test_two_installations_have_different_passwords(tmp_path: Path) -> None:
    one, other = (generated_password(tmp_path / name).read_text() for name in ("one", "other"))
    assert one != other


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    with pytest.raises(HeadgateError, match=r"password file .* cannot be written"):
        generated_password(tmp_path / "nowhere" / "admin-password")


def test_a_password_that_was_named_is_in_a_file_for_a_moment_only(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path / "data", admin_password="the-one-I-chose")
    private_folder(settings.run_dir())
    with admin_password_file(settings) as path:
        assert path.read_text() == "the-one-I-chose"
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert not path.exists()
    assert not settings.admin_password_path().exists()
