"""Where settings come from, and what is said when they are wrong."""

from pathlib import Path

import pytest

from app.settings import SettingsError, is_secret, load, names


def refusal(**environment: str) -> str:
    with pytest.raises(SettingsError) as caught:
        load(environment=environment)
    return caught.value.sentence()


def test_without_any_source_everything_has_a_default() -> None:
    settings = load(environment={})
    assert settings.server.host == "127.0.0.1"
    assert settings.database.url is None
    assert settings.url == "http://127.0.0.1:8080"


def test_options_win_over_the_environment_and_that_over_the_file(tmp_path: Path) -> None:
    file = tmp_path / "config.toml"
    file.write_text("[server]\nport = 1111\nhost = '127.0.0.2'\n[llm]\nmax_tokens = 99\n", encoding="utf-8")
    settings = load(file, {"KA_SERVER__PORT": "2222", "KA_SERVER__HOST": "127.0.0.3"}, {"server.port": 3333})
    assert (settings.server.port, settings.server.host, settings.llm.max_tokens) == (3333, "127.0.0.3", 99)


def test_lists_in_the_environment_are_separated_by_commas() -> None:
    settings = load(environment={"KA_SERVER__ALLOWED_HOSTS": "a.example, b.example"})
    assert settings.server.allowed_hosts == ["a.example", "b.example"]


def test_an_unknown_name_is_refused_with_the_right_one() -> None:
    assert "Did you mean server.port?" in refusal(KA_SERVER__PROT="1")


def test_an_unknown_name_in_the_file_is_refused_with_the_right_one(tmp_path: Path) -> None:
    file = tmp_path / "config.toml"
    file.write_text("[embeding]\nthreads = 1\n", encoding="utf-8")
    with pytest.raises(SettingsError, match=r"Did you mean embedding\.threads\?"):
        load(file, {})


@pytest.mark.parametrize(
    ("environment", "told"),
    [
        ({"KA_SERVER__PORT": "many"}, "server.port"),
        ({"KA_SERVER__PORT": "70000"}, "server.port"),
        ({"KA_OBJECTS__KIND": "ftp"}, "objects.kind"),
        ({"KA_LLM__BASE_URL": "http://x/v1"}, "llm.model must be given"),
        ({"KA_EMBEDDING__ENGINE": "openai"}, "embedding.base_url must be given"),
        ({"KA_CHUNKING__OVERLAP": "150"}, "chunking.overlap"),
        ({"KA_WORKER__LOST_SECONDS": "1"}, "worker.lost_seconds"),
    ],
)
def test_a_wrong_value_is_told_by_the_name_of_its_setting(environment: dict[str, str], told: str) -> None:
    assert told in refusal(**environment)


def test_a_secret_in_the_environment_is_refused() -> None:
    told = refusal(KA_LLM__API_KEY="sk-1")
    assert "llm.api_key_file" in told
    assert "sk-1" not in told


def test_a_secret_comes_from_a_file_that_is_named(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("sk-2\n", encoding="utf-8")
    settings = load(environment={"KA_LLM__API_KEY_FILE": str(tmp_path / "key")})
    assert settings.llm.api_key is not None
    assert settings.llm.api_key.get_secret_value() == "sk-2"


def test_a_secret_comes_from_the_credentials_folder(tmp_path: Path) -> None:
    (tmp_path / "database.url").write_text("postgresql://u:p@h/d\n", encoding="utf-8")
    settings = load(environment={"CREDENTIALS_DIRECTORY": str(tmp_path)})
    assert settings.database.url is not None
    assert "u:p" not in repr(settings)


def test_an_unknown_credential_is_refused_with_the_right_name(tmp_path: Path) -> None:
    (tmp_path / "llm.apikey").write_text("x", encoding="utf-8")
    assert "Did you mean llm.api_key?" in refusal(CREDENTIALS_DIRECTORY=str(tmp_path))


def test_a_missing_or_broken_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="does not exist"):
        load(tmp_path / "none.toml", {})
    (tmp_path / "broken.toml").write_text("= 1", encoding="utf-8")
    with pytest.raises(SettingsError, match="cannot be read"):
        load(tmp_path / "broken.toml", {})


def test_every_setting_has_a_description_and_secrets_are_known_as_such() -> None:
    assert all(field.description for field in names().values())
    assert {name for name, field in names().items() if is_secret(field)} == {
        "database.url",
        "objects.access_key",
        "objects.secret_key",
        "embedding.api_key",
        "llm.api_key",
    }
