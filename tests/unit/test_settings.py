"""Settings: where they are read, which wins, what is refused and how that is said."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import SecretStr

from headgate.errors import SettingsError
from headgate.settings import GROUPS, Settings, load_settings
from headgate.settings.loading import variable_of
from headgate.settings.printing import as_toml


@pytest.fixture(autouse=True)
def _no_settings_of_this_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for key in Settings.model_fields:
        monkeypatch.delenv(variable_of(key), raising=False)
    monkeypatch.delenv("HEADGATE_CONFIG", raising=False)
    monkeypatch.chdir(tmp_path)


def faults(**flags: object) -> str:
    with pytest.raises(SettingsError) as caught:
        load_settings(flags)
    assert caught.value.exit_code == 2
    return str(caught.value)


def test_a_flag_wins_over_a_variable_over_the_file_over_the_default(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert load_settings().port == 5000
    Path("headgate.toml").write_text("port = 5001\n")
    assert load_settings().port == 5001
    monkeypatch.setenv("HEADGATE_PORT", "5002")
    assert load_settings().port == 5002
    assert load_settings({"port": "5003"}).port == 5003


def test_a_flag_that_was_not_named_and_an_empty_variable_do_not_count(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("HEADGATE_PORT", "")
    assert load_settings({"port": None}).port == 5000


def test_the_file_can_be_named_by_flag_or_variable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "one.toml").write_text("port = 1001\n")
    (tmp_path / "two.toml").write_text("port = 1002\n")
    monkeypatch.setenv("HEADGATE_CONFIG", "one.toml")
    assert load_settings().port == 1001
    assert load_settings(config=Path("two.toml")).port == 1002


def test_a_named_file_must_exist() -> None:
    with pytest.raises(SettingsError, match=r"absent\.toml does not exist \(named by --config\)"):
        load_settings(config=Path("absent.toml"))


def test_a_file_that_is_no_toml_is_refused_with_the_place() -> None:
    Path("headgate.toml").write_text("port = \n")
    assert faults().startswith("headgate.toml is not TOML: Invalid value (at line 1")


def test_an_unknown_key_is_refused_and_the_likely_one_named() -> None:
    Path("headgate.toml").write_text('allowed-hosts = ["a"]\n')
    assert faults() == (
        "allowed-hosts: no such setting (read from headgate.toml). Did you mean allowed_hosts?"
    )


def test_an_unknown_variable_is_warned_of(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEADGATE_PROT", "1")
    warnings: list[str] = []
    load_settings(warn=warnings.append)
    assert warnings == [
        "HEADGATE_PROT is no setting of Headgate and has no effect. Did you mean HEADGATE_PORT?"
    ]


def test_all_faults_are_told_at_once_with_their_sources(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEADGATE_PORT", "many")
    Path("headgate.toml").write_text('trusted_proxies = ["10.0.0.0/99"]\nnonsense = 1\n')
    text = faults(host="0.0.0.0")
    assert text.startswith("4 settings cannot be used:\n")
    assert "  nonsense: no such setting (read from headgate.toml).\n" in text
    assert "port: 'many' cannot be used: input should be a valid integer" in text
    assert "(read from HEADGATE_PORT)" in text
    assert "'10.0.0.0/99' is no address or network" in text
    assert "allowed_hosts: host is 0.0.0.0" in text


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("admin_password", "tooshort!"),
        ("backend_store_uri", "postgress://alice:hunter2hunter2@db/mlflow"),
        ("auth_database_uri", "hunter2hunter2"),
    ],
)
def test_the_value_of_a_secret_is_never_told(
    key: str, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable_of(key), value)
    text = faults()
    assert text.startswith(f"{key}: ")
    assert f"(read from {variable_of(key)})" in text
    assert "hunter2" not in text
    assert "tooshort" not in text


def test_a_misspelt_scheme_is_named() -> None:
    text = faults(backend_store_uri="postgress://db/mlflow")
    assert text == (
        "backend_store_uri: no driver for scheme 'postgress'. Use sqlite, postgresql or mysql "
        "(read from --backend-store-uri)."
    )


@pytest.mark.parametrize("uri", ["sqlite://", "sqlite:///", "sqlite:///:memory:"])
def test_an_sqlite_store_needs_a_file(uri: str) -> None:
    assert "needs a file" in faults(backend_store_uri=uri)


@pytest.mark.parametrize("place", ["gs://bucket", "s3://", "file:///tmp", " "])
def test_artifacts_go_to_a_folder_or_to_s3(place: str) -> None:
    assert "use a folder or s3://bucket/prefix" in faults(artifacts_destination=place)


def test_mlflows_old_default_password_is_refused() -> None:
    with pytest.raises(ValueError, match="everybody knows"):
        Settings(admin_password=SecretStr("password1234"))


def test_listening_beyond_loopback_needs_names_and_warns_without_tls() -> None:
    assert "name here what clients call this server" in faults(host="0.0.0.0")
    open_to_all = load_settings({"host": "0.0.0.0", "allowed_hosts": "mlflow.example.com"})
    assert "without TLS" in open_to_all.cautions()[0]
    proxied = {"trusted_proxies": "10.0.0.0/8", "allowed_hosts": "mlflow.example.com"}
    assert load_settings(proxied | {"host": "0.0.0.0"}).cautions() == []


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "localhost", "127.1.2.3"])
def test_loopback_needs_neither(host: str) -> None:
    assert load_settings({"host": host}).cautions() == []


@pytest.mark.parametrize("name", ["*", "https://mlflow.example.com", "two names", "a/b"])
def test_what_is_no_host_name_is_refused(name: str) -> None:
    assert "is no host name" in faults(allowed_hosts=name)


@pytest.mark.parametrize("origin", ["example.com", "https://example.com/", "ftp://example.com"])
def test_what_is_no_origin_is_refused(origin: str) -> None:
    assert "is no origin" in faults(allowed_origins=origin)


def test_certificate_and_key_belong_together(tmp_path: Path) -> None:
    file = tmp_path / "certificate.pem"
    file.touch()
    assert "set both or none" in faults(ssl_certfile=str(file))
    assert "set both or none" in faults(ssl_keyfile=str(file))
    both = load_settings({"ssl_certfile": str(file), "ssl_keyfile": str(file)})
    assert both.serves_tls()


def test_a_certificate_must_exist() -> None:
    assert "there is no such file (read from --ssl-certfile)" in faults(ssl_certfile="absent.pem")


def test_metrics_need_a_port_of_their_own() -> None:
    assert "metrics need a port of their own" in faults(port="5000", metrics_port="5000")
    assert load_settings({"port": "0", "metrics_port": "0"}).metrics_port == 0


def test_lists_are_separated_by_commas_in_the_environment_and_arrays_in_the_file(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    Path("headgate.toml").write_text('allowed_hosts = ["a.example", "b.example"]\n')
    assert load_settings().allowed_hosts == ["a.example", "b.example"]
    monkeypatch.setenv("HEADGATE_ALLOWED_HOSTS", "c.example, d.example,")
    assert load_settings().allowed_hosts == ["c.example", "d.example"]


def test_settings_cannot_be_changed() -> None:
    with pytest.raises(ValueError, match="frozen"):
        Settings().port = 1


def test_settings_alone_read_neither_environment_nor_file(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEADGATE_PORT", "1")
    Path("headgate.toml").write_text("port = 2\n")
    assert Settings().port == 5000


def test_no_secret_is_in_a_repr() -> None:
    settings = Settings(
        admin_password=SecretStr("hunter2hunter2"),
        backend_store_uri=SecretStr("postgresql://alice:hunter2hunter2@db/mlflow"),
    )
    assert "hunter2" not in repr(settings)
    assert "hunter2" not in as_toml(settings)


def test_printed_settings_read_back_print_the_same(tmp_path: Path) -> None:
    file = tmp_path / "certificate.pem"
    file.touch()
    flags = {
        "host": "0.0.0.0",
        "allowed_hosts": "*.example.com,mlflow.example.com",
        "data_dir": 'strange "folder" \\ ü',
        "ssl_certfile": str(file),
        "ssl_keyfile": str(file),
        "allow_jobs": True,
        "artifacts_destination": "s3://bucket/prefix",
        "drain_seconds": "1.5",
    }
    before = load_settings(flags)
    Path("headgate.toml").write_text(as_toml(before))
    after = load_settings()
    assert after == before
    assert as_toml(after) == as_toml(before)


def test_every_setting_has_a_description_and_a_group() -> None:
    grouped = [key for group in GROUPS.values() for key in group.model_fields]
    assert sorted(grouped) == sorted(Settings.model_fields)
    assert all(field.description for field in Settings.model_fields.values())


# What follows from settings


def test_everything_lies_in_the_data_folder_by_default(tmp_path: Path) -> None:
    settings = Settings(data_dir=Path("data"))
    folder = tmp_path / "data"
    assert settings.backend_uri() == f"sqlite:///{folder}/mlflow.db"
    assert settings.auth_uri() == settings.backend_uri()
    assert settings.artifacts() == f"{folder}/artifacts"
    assert settings.key_path() == folder / "secret.key"
    assert settings.admin_password_path() == folder / "admin-password"
    assert settings.run_dir().is_absolute()


def test_a_relative_store_is_made_absolute_for_processes_in_other_folders(tmp_path: Path) -> None:
    settings = Settings(backend_store_uri=SecretStr("sqlite:///mlflow.db?timeout=5"))
    assert settings.backend_uri() == f"sqlite:///{tmp_path}/mlflow.db?timeout=5"


def test_the_artifacts_of_an_existing_store_are_found_beside_it(tmp_path: Path) -> None:
    settings = Settings(backend_store_uri=SecretStr("sqlite:///mlflow.db"))
    assert settings.artifacts() == f"{tmp_path}/.headgate/artifacts"
    (tmp_path / "mlartifacts").mkdir()
    assert settings.artifacts() == f"{tmp_path}/mlartifacts"


def test_the_sockets_path_fits_whatever_the_data_folders_name() -> None:
    short, long = Settings(data_dir=Path("/d")), Settings(data_dir=Path("/" + "long/" * 40))
    assert short.run_dir() == Path("/d/run")
    assert len(str(long.run_dir() / "mlflow.sock")) <= 100
    assert long.run_dir() != Settings(data_dir=Path("/" + "length/" * 40)).run_dir()
