"""Settings: what the environment may say, and the sentence that names a variable which says something else."""

from __future__ import annotations

import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from bot import secrets
from bot.errors import Unavailable
from bot.services.mail import SmtpSecurity
from bot.settings import PROJECT, LogFormat, Settings, SettingsError, jwt_secret_variable

SECRET = "s" * 32
OTHER = "t" * 40
SERVING = {
    "SUPPORTBOT_SECRET": SECRET,
    "SUPPORTBOT_JWT_SECRET_JOLTSMS": OTHER,
    "SMTP_URL": "smtp://mail.example.com",
    "MAIL_FROM": "support@example.com",
}


def test_nothing_has_to_be_set() -> None:
    """The defaults are those of a first try on one's own machine, with demo mode off."""
    settings = Settings.from_env({})
    assert (settings.host, settings.port, settings.public_url) == ("127.0.0.1", 5005, "http://localhost:5005")
    assert settings.database_url == f"sqlite:///{PROJECT / 'var' / 'supportbot.db'}"
    assert (settings.demo, settings.secret, settings.smtp, settings.redis_url) == (False, None, None, None)
    assert (settings.models, settings.packs) == (PROJECT / "models", PROJECT / "data" / "policies")
    assert settings.log_format is LogFormat.CONSOLE


def test_a_blank_value_counts_as_not_set() -> None:
    """As in an environment file with nothing behind the equals sign."""
    assert Settings.from_env({"PORT": " ", "REDIS_URL": "", "SUPPORTBOT_JWT_SECRET_JOLTSMS": ""}) == Settings.from_env(
        {}
    )


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("HOST", "my host"),
        ("PORT", "0"),
        ("PORT", "65536"),
        ("PORT", "-1"),
        ("PORT", "http"),
        ("PORT", "٣"),
        ("SUPPORTBOT_PUBLIC_URL", "help.example.com"),
        ("SUPPORTBOT_PUBLIC_URL", "ftp://help.example.com"),
        ("SUPPORTBOT_PUBLIC_URL", "https://help.example.com/support"),
        ("SUPPORTBOT_PUBLIC_URL", "https://"),
        ("SUPPORTBOT_PUBLIC_URL", "https://help.example.com:port"),
        ("SUPPORTBOT_ALLOWED_ORIGINS", "https://a.example, b.example"),
        ("SUPPORTBOT_ALLOWED_ORIGINS", "*"),
        ("SUPPORTBOT_TRUSTED_PROXIES", "proxy.example.com"),
        ("SUPPORTBOT_TRUSTED_PROXIES", "10.0.0.1/8"),
        ("SUPPORTBOT_DEMO", "maybe"),
        ("DATABASE_URL", "mysql://localhost/supportbot"),
        ("DATABASE_URL", "sqlite://"),
        ("DATABASE_URL", "sqlite:///:memory:"),
        ("DATABASE_URL", "postgresql://localhost"),
        ("DATABASE_URL", "supportbot.db"),
        ("REDIS_URL", "localhost:6379"),
        ("SMTP_URL", "mail.example.com"),
        ("SMTP_URL", "smtp://"),
        ("SMTP_URL", "smtp://mail.example.com:many"),
        ("SMTP_URL", "smtp://mail.example.com?tls=maybe"),
        ("MAIL_FROM", "Support <support@example.com>"),
        ("MAIL_FROM", "support"),
        ("SUPPORTBOT_SECRET", "short"),
        ("SUPPORTBOT_JWT_SECRET_JOLTSMS", "short"),
        ("SUPPORTBOT_OPERATOR_TOKEN", "short"),
        ("SUPPORTBOT_LOG_FORMAT", "xml"),
    ],
)
def test_a_value_that_cannot_be_used_is_refused_by_its_variables_name(variable: str, value: str) -> None:
    """The sentence says what would be right."""
    with pytest.raises(SettingsError) as caught:
        Settings.from_env({variable: value})
    assert str(caught.value).startswith(variable)
    assert str(caught.value).endswith(".")
    assert caught.value.data["variables"] == (variable,)


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("DATABASE_URL", "mysql://root:hunter2@localhost/supportbot"),
        ("REDIS_URL", "http://:hunter2@localhost"),
        ("SMTP_URL", "imap://me:hunter2@mail.example.com"),
        ("SUPPORTBOT_SECRET", "hunter2"),
    ],
)
def test_a_refusal_repeats_no_password(variable: str, value: str) -> None:
    """Errors end up in logs."""
    with pytest.raises(SettingsError) as caught:
        Settings.from_env({variable: value})
    assert "hunter2" not in str(caught.value)


def test_what_may_hold_a_password_is_not_shown() -> None:
    """Settings may be logged."""
    settings = Settings.from_env(
        {
            **SERVING,
            "DATABASE_URL": "postgresql://bot:hunter2@db/supportbot",
            "REDIS_URL": "redis://:hunter2@cache/0",
            "SMTP_URL": "smtp://bot:hunter2@mail.example.com",
            "SUPPORTBOT_OPERATOR_TOKEN": "hunter2" * 8,
        }
    )
    assert not any(secret in repr(settings) for secret in ("hunter2", SECRET, OTHER))


def test_paths_are_relative_to_the_project_wherever_one_starts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """So that a command started elsewhere does not quietly make a second database."""
    monkeypatch.chdir(tmp_path)
    settings = Settings.from_env({"DATABASE_URL": "sqlite:///data/bot.db", "SUPPORTBOT_MODELS": "other"})
    assert settings.database_url == f"sqlite:///{PROJECT / 'data' / 'bot.db'}"
    assert settings.models == PROJECT / "other"


def test_the_var_folder_holds_the_default_database(tmp_path: Path) -> None:
    """And the logs and the demo's secrets."""
    settings = Settings.from_env({"SUPPORTBOT_VAR": str(tmp_path)})
    assert settings.database_url == f"sqlite:///{tmp_path / 'supportbot.db'}"
    assert (settings.log_folder.parent, settings.demo_secrets.parent) == (tmp_path, tmp_path)


def test_heroku_style_postgres_urls_are_understood() -> None:
    """SQLAlchemy itself knows only the longer name."""
    settings = Settings.from_env({"DATABASE_URL": "postgres://bot:p%40ss@db.example.com:5433/support"})
    assert settings.database_url == "postgresql://bot:p%40ss@db.example.com:5433/support"


@pytest.mark.parametrize(
    ("url", "port", "security"),
    [
        ("smtp://mail.example.com", 587, SmtpSecurity.STARTTLS),
        ("smtp://mail.example.com:25", 25, SmtpSecurity.STARTTLS),
        ("smtps://mail.example.com", 465, SmtpSecurity.TLS),
        ("smtp://localhost:1025?starttls=0", 1025, SmtpSecurity.NONE),
        ("smtp://localhost?starttls=1", 587, SmtpSecurity.STARTTLS),
    ],
)
def test_mail_is_encrypted_unless_switched_off(url: str, port: int, security: SmtpSecurity) -> None:
    """With the standard port of each way."""
    smtp = Settings.from_env({"SMTP_URL": url, "MAIL_FROM": "support@example.com"}).smtp
    assert smtp is not None
    assert (smtp.port, smtp.security, smtp.user, smtp.sender) == (port, security, None, "support@example.com")


def test_a_mail_servers_user_and_password_may_be_escaped() -> None:
    """User names are often e-mail addresses."""
    url = "smtps://bot%40example.com:p%2Fq@mail.example.com"
    smtp = Settings.from_env({"SMTP_URL": url, "MAIL_FROM": "support@example.com"}).smtp
    assert smtp is not None
    assert (smtp.user, smtp.password) == ("bot@example.com", "p/q")


def test_a_mail_server_needs_a_sender() -> None:
    """Nothing sensible could be guessed."""
    with pytest.raises(SettingsError, match="MAIL_FROM"):
        Settings.from_env({"SMTP_URL": "smtp://mail.example.com"})


def test_origins_are_a_list_without_repeats() -> None:
    """A slash at the end and capitals do not matter, as browsers send neither."""
    text = "https://Shop.example.com/, https://shop.example.com,http://localhost:3000"
    settings = Settings.from_env({"SUPPORTBOT_ALLOWED_ORIGINS": text})
    assert settings.allowed_origins == ("https://shop.example.com", "http://localhost:3000")


# --- complete --------------------------------------------------------------------------------------------------------


def test_outside_demo_mode_all_that_is_missing_is_named_at_once() -> None:
    """Nobody should have to start five times to find out."""
    with pytest.raises(SettingsError) as caught:
        Settings.from_env({}).complete(["joltsms", "smarter-contact"])
    assert caught.value.data["variables"] == (
        "SUPPORTBOT_SECRET",
        "SUPPORTBOT_JWT_SECRET_JOLTSMS",
        "SUPPORTBOT_JWT_SECRET_SMARTER_CONTACT",
        "SMTP_URL",
    )
    assert all(name in str(caught.value) for name in (*caught.value.data["variables"], "SUPPORTBOT_DEMO"))


def test_outside_demo_mode_nothing_is_invented(tmp_path: Path) -> None:
    """What is complete stays as it is, by brand, and no file is made."""
    settings = Settings.from_env({**SERVING, "SUPPORTBOT_VAR": str(tmp_path)}).complete(["joltsms"])
    assert settings.secret == SECRET
    assert dict(settings.jwt_secrets) == {"joltsms": OTHER}
    assert list(tmp_path.iterdir()) == []


def test_a_brand_with_a_hyphen_has_a_variable_that_shells_can_set() -> None:
    """And its secret is found under the brand's own name."""
    name = jwt_secret_variable("smarter-contact")
    settings = Settings.from_env({**SERVING, name: OTHER}).complete(["joltsms", "smarter-contact"])
    assert name == "SUPPORTBOT_JWT_SECRET_SMARTER_CONTACT"
    assert settings.jwt_secrets["smarter-contact"] == OTHER


def test_demo_mode_makes_its_secrets_once(tmp_path: Path) -> None:
    """A second start finds them, a new brand gets its own, and nobody else can read them."""
    demo = Settings.from_env({"SUPPORTBOT_DEMO": "1", "SUPPORTBOT_VAR": str(tmp_path / "var")})
    first = demo.complete(["joltsms"])
    again = demo.complete(["joltsms", "smrtphone"])
    assert first.secret == again.secret
    assert first.jwt_secrets["joltsms"] == again.jwt_secrets["joltsms"]
    made = {first.secret, again.jwt_secrets["joltsms"], again.jwt_secrets["smrtphone"]}
    assert len(made) == 3
    assert all(secret and len(secret) >= 32 for secret in made)
    assert stat.S_IMODE(demo.demo_secrets.stat().st_mode) == 0o600
    assert [path.name for path in demo.var.iterdir()] == ["secrets.json"]


def test_demo_mode_prefers_the_secrets_it_is_given(tmp_path: Path) -> None:
    """Then nothing is made."""
    settings = Settings.from_env({**SERVING, "SUPPORTBOT_DEMO": "1", "SUPPORTBOT_VAR": str(tmp_path)})
    assert settings.complete(["joltsms"]).secret == SECRET
    assert list(tmp_path.iterdir()) == []


def test_processes_that_start_together_agree_on_the_secrets(tmp_path: Path) -> None:
    """Whoever comes first makes them, the others find them."""
    path = tmp_path / "var" / "secrets.json"
    with ThreadPoolExecutor(8) as starts:
        made = list(starts.map(lambda _: tuple(secrets.kept(path, ["A", "B"]).items()), range(16)))
    assert len(set(made)) == 1


@pytest.mark.parametrize("content", ["{", "[]", '{"A": 1}'])
def test_damaged_demo_secrets_are_reported_and_not_replaced(tmp_path: Path, content: str) -> None:
    """Replacing them would sign everybody out without a word."""
    path = tmp_path / "secrets.json"
    path.write_text(content)
    with pytest.raises(Unavailable, match="damaged"):
        secrets.kept(path, ["A"])
    assert path.read_text() == content


def test_a_command_for_oneself_goes_on_with_the_demo_that_ran_here(tmp_path: Path) -> None:
    """But not once anything real is configured."""
    var = {"SUPPORTBOT_VAR": str(tmp_path)}
    assert not Settings.from_env(var).demo_if_tried().demo
    Settings.from_env({**var, "SUPPORTBOT_DEMO": "1"}).complete(["joltsms"])
    assert Settings.from_env(var).demo_if_tried().demo
    assert not Settings.from_env({**var, "SUPPORTBOT_SECRET": SECRET}).demo_if_tried().demo


def test_slack_is_on_with_a_way_in_and_a_way_to_answer() -> None:
    bot, app = {"SUPPORTBOT_SLACK_BOT_TOKEN": "xoxb-1"}, {"SUPPORTBOT_SLACK_APP_TOKEN": "xapp-1"}
    signed = {"SUPPORTBOT_SLACK_SIGNING_SECRET": "s"}
    client = {"SUPPORTBOT_SLACK_CLIENT_ID": "1.2", "SUPPORTBOT_SLACK_CLIENT_SECRET": "c"}
    for given, on in (({}, False), (bot, False), (app, False), (bot | app, True), (bot | signed, True)):
        assert Settings.from_env(given).slack.is_on is on
    assert Settings.from_env(client | signed).slack.is_on
    brands = {"SUPPORTBOT_SLACK_BRANDS": "T1=one, T2=two-b,three", "SUPPORTBOT_SLACK_DESK": "one=C1"}
    slack = Settings.from_env(brands | {"SUPPORTBOT_SLACK_API_URL": "http://proxy.example/api"}).slack
    assert [slack.brand_of(team) for team in ("T1", "T2", "T3")] == ["one", "two-b", "three"]
    assert (slack.rooms, slack.api_url) == ({"one": "C1"}, "http://proxy.example/api/")


@pytest.mark.parametrize(
    ("variable", "value", "says"),
    [
        ("SUPPORTBOT_SLACK_BOT_TOKEN", "xapp-1", "begins with xoxb-"),
        ("SUPPORTBOT_SLACK_APP_TOKEN", "xoxb-1", "begins with xapp-"),
        ("SUPPORTBOT_SLACK_BRANDS", "T1=one, T1=two", "NAME=VALUE"),
        ("SUPPORTBOT_SLACK_BRANDS", "T1==", "NAME=VALUE"),
        ("SUPPORTBOT_SLACK_API_URL", "slack.com", "an address such as"),
    ],
)
def test_a_wrong_setting_of_slack_is_named_and_no_token_repeated(variable: str, value: str, says: str) -> None:
    with pytest.raises(SettingsError, match=says) as caught:
        Settings.from_env({variable: value})
    assert variable in str(caught.value)
    assert "TOKEN" not in variable or value not in str(caught.value)


def test_discord_is_on_with_a_token_and_knows_the_brands_of_servers() -> None:
    assert Settings.from_env({"SUPPORTBOT_DISCORD_BRAND": "joltsms"}).discord is None
    made = Settings.from_env(
        {
            "SUPPORTBOT_DISCORD_TOKEN": "x" * 30,
            "SUPPORTBOT_DISCORD_GUILDS": "12=joltsms, 34=acme",
            "SUPPORTBOT_DISCORD_API_URL": "http://localhost:9/api/",
        }
    ).discord
    assert made is not None
    assert dict(made.guilds) == {12: "joltsms", 34: "acme"}
    assert made.api_url == "http://localhost:9/api"
    assert "x" * 30 not in repr(made)


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("SUPPORTBOT_DISCORD_TOKEN", "two words"),
        ("SUPPORTBOT_DISCORD_GUILDS", "jolt=12"),
        ("SUPPORTBOT_DISCORD_SHARDS", "0"),
        ("SUPPORTBOT_DISCORD_API_URL", "discord.com"),
        ("SUPPORTBOT_DISCORD_MESSAGE_CONTENT", "perhaps"),
    ],
)
def test_a_value_for_discord_that_cannot_be_used_is_named(variable: str, value: str) -> None:
    with pytest.raises(SettingsError, match=variable):
        Settings.from_env({variable: value})
