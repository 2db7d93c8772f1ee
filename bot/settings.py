"""What an installation decides for itself: read from the environment once, checked, and passed on as one value."""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from enum import Enum
from ipaddress import ip_network
from pathlib import Path
from types import MappingProxyType
from typing import TypeVar
from urllib.parse import unquote, urlsplit

from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError

from bot import secrets
from bot.channels.discord import config as discord
from bot.channels.slack.settings import API_URL as SLACK_API_URL
from bot.channels.slack.settings import SlackSettings
from bot.errors import InvalidInput
from bot.services.mail import SmtpSecurity, SmtpSettings

PROJECT = Path(__file__).resolve().parent.parent
JWT_SECRET_PREFIX = "SUPPORTBOT_JWT_SECRET_"  # noqa: S105 - the name of a variable
_LEAST_SECRET_CHARACTERS = 32
_SMTP_PORTS = {SmtpSecurity.TLS: 465, SmtpSecurity.STARTTLS: 587, SmtpSecurity.NONE: 25}
_ADDRESS = re.compile(r"[^@\s<>]+@[^@\s<>]+")

T = TypeVar("T")


class SettingsError(InvalidInput):
    """A variable of the environment is missing or cannot be used; `data["variables"]` names which."""

    code = "settings"

    def __init__(self, message: str, *variables: str) -> None:
        super().__init__(message, variables=variables)


class LogFormat(str, Enum):
    """How log lines are written."""

    CONSOLE = "console"
    JSON = "json"


@dataclass(frozen=True, kw_only=True)
class Settings:
    """An installation's settings; docs/settings.md says what each is for.

    Paths are absolute. A secret that is not set is None, or absent from `jwt_secrets` (by brand), until `complete`.
    What may hold a password is not shown by `repr`.
    """

    host: str
    port: int
    public_url: str
    allowed_origins: tuple[str, ...]
    trusted_proxies: tuple[str, ...]
    demo: bool
    database_url: str = field(repr=False)
    redis_url: str | None = field(repr=False)
    smtp: SmtpSettings | None = field(repr=False)
    mail_from: str | None
    secret: str | None = field(repr=False)
    jwt_secrets: Mapping[str, str] = field(repr=False)
    operator_token: str | None = field(repr=False)
    slack: SlackSettings
    inbound_secret: str | None = field(repr=False)
    log_format: LogFormat
    discord: discord.DiscordSettings | None
    var: Path
    models: Path
    packs: Path
    help_center: Path

    @classmethod
    def from_env(cls, environ: Mapping[str, str]) -> Settings:
        """Read every setting. Raises SettingsError naming the first variable whose value cannot be used."""
        read = _Reader(environ)
        port = read("PORT", _port, 5005)
        var = read("SUPPORTBOT_VAR", _folder, PROJECT / "var")
        mail_from = read("MAIL_FROM", _address, None)
        signing = [name for name in sorted(environ) if name.startswith(JWT_SECRET_PREFIX)]
        jwt_secrets = {name: read(name, _secret, "") for name in signing}
        return cls(
            host=read("HOST", _host, "127.0.0.1"),
            port=port,
            public_url=read("SUPPORTBOT_PUBLIC_URL", _origin, f"http://localhost:{port}"),
            allowed_origins=read("SUPPORTBOT_ALLOWED_ORIGINS", _origins, ()),
            trusted_proxies=read("SUPPORTBOT_TRUSTED_PROXIES", _networks, ()),
            demo=read("SUPPORTBOT_DEMO", _switch, False),
            database_url=read("DATABASE_URL", _database, f"sqlite:///{var / 'supportbot.db'}"),
            redis_url=read("REDIS_URL", _redis, None),
            smtp=read("SMTP_URL", lambda text: _smtp(text, mail_from), None),
            mail_from=mail_from,
            secret=read("SUPPORTBOT_SECRET", _secret, None),
            jwt_secrets=MappingProxyType({_brand(name): secret for name, secret in jwt_secrets.items() if secret}),
            operator_token=read("SUPPORTBOT_OPERATOR_TOKEN", _secret, None),
            slack=_slack(read),
            inbound_secret=read("SUPPORTBOT_INBOUND_SECRET", _secret, None),
            log_format=read("SUPPORTBOT_LOG_FORMAT", _log_format, LogFormat.CONSOLE),
            discord=_discord(read),
            var=var,
            models=read("SUPPORTBOT_MODELS", _folder, PROJECT / "models"),
            packs=read("SUPPORTBOT_PACKS", _folder, PROJECT / "data" / "policies"),
            help_center=read("SUPPORTBOT_HELP", _folder, PROJECT / "data" / "help_center"),
        )

    @property
    def log_folder(self) -> Path:
        """Where commands keep what would only be noise on a terminal."""
        return self.var / "log"

    @property
    def demo_secrets(self) -> Path:
        """The file of secrets that demo mode made for itself."""
        return self.var / "secrets.json"

    def address_key(self) -> bytes:
        """What keys the digests of erased customers' addresses; empty while there is no secret to make it from."""
        name = "SUPPORTBOT_SECRET"
        demo = self.demo or self.demo_secrets.exists()
        secret = self.secret or (secrets.kept(self.demo_secrets, [name])[name] if demo else None)
        return hmac.new(secret.encode(), b"erased addresses", hashlib.sha256).digest() if secret else b""

    def demo_if_tried(self) -> Settings:
        """In demo mode if nothing is configured and demo mode ran here before; for commands that serve nobody else."""
        configured = self.demo or self.secret or self.smtp
        return self if configured or not self.demo_secrets.exists() else replace(self, demo=True)

    def complete(self, brands: Iterable[str]) -> Settings:
        """These settings with everything that conversations with customers of `brands` need.

        In demo mode missing secrets are made once and kept in `demo_secrets`. Otherwise what is missing raises
        SettingsError, naming all of it.
        """
        names = {brand: jwt_secret_variable(brand) for brand in sorted(brands)}
        given = {"SUPPORTBOT_SECRET": self.secret} | {
            name: self.jwt_secrets.get(_brand(name)) for name in names.values()
        }
        missing = [name for name, secret in given.items() if secret is None]
        if self.demo:
            given |= secrets.kept(self.demo_secrets, missing)
        elif missing := missing + ([] if self.smtp else ["SMTP_URL"]):
            raise SettingsError(
                f"Not set: {', '.join(missing)}. Outside demo mode they are needed (docs/settings.md says what for); "
                "to try the system, set SUPPORTBOT_DEMO=1.",
                *missing,
            )
        jwt_secrets = {brand: given[name] or "" for brand, name in names.items()}
        return replace(self, secret=given["SUPPORTBOT_SECRET"], jwt_secrets=MappingProxyType(jwt_secrets))


def jwt_secret_variable(brand: str) -> str:
    """The variable with the secret that a brand's site signs its customers' identity with."""
    return JWT_SECRET_PREFIX + brand.upper().replace("-", "_")


def _brand(variable: str) -> str:
    return variable.removeprefix(JWT_SECRET_PREFIX).lower()


class _Reader:
    """Reads one variable at a time; a value that is empty or only blanks counts as not set."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ

    def __call__(self, variable: str, convert: Callable[[str], T], default: T) -> T:
        text = self._environ.get(variable, "").strip()
        if not text:
            return default
        try:
            return convert(text)
        except ValueError as error:
            raise SettingsError(f"{variable} {error}", variable) from error


def _discord(read: _Reader) -> discord.DiscordSettings | None:
    """Discord's settings; None without a token, and then the channel is off."""
    token = read("SUPPORTBOT_DISCORD_TOKEN", _token, "")
    made = discord.DiscordSettings(
        token=token,
        brand=read("SUPPORTBOT_DISCORD_BRAND", _brand_id, None),
        guilds=MappingProxyType(read("SUPPORTBOT_DISCORD_GUILDS", _guilds, {})),
        message_content=read("SUPPORTBOT_DISCORD_MESSAGE_CONTENT", _switch, False),
        shards=read("SUPPORTBOT_DISCORD_SHARDS", _shards, None),
        api_url=read("SUPPORTBOT_DISCORD_API_URL", lambda text: _base(text, "https", "http"), discord.API_URL),
        gateway_url=read(
            "SUPPORTBOT_DISCORD_GATEWAY_URL", lambda text: _base(text, "wss", "ws") + "/", discord.GATEWAY_URL
        ),
    )
    return made if token else None


def _slack(read: _Reader) -> SlackSettings:
    brands = read("SUPPORTBOT_SLACK_BRANDS", _pairs, {})
    return SlackSettings(
        bot_token=read("SUPPORTBOT_SLACK_BOT_TOKEN", lambda text: _slack_token(text, "xoxb-"), None),
        app_token=read("SUPPORTBOT_SLACK_APP_TOKEN", lambda text: _slack_token(text, "xapp-"), None),
        signing_secret=read("SUPPORTBOT_SLACK_SIGNING_SECRET", str, None),
        client_id=read("SUPPORTBOT_SLACK_CLIENT_ID", str, None),
        client_secret=read("SUPPORTBOT_SLACK_CLIENT_SECRET", str, None),
        api_url=read("SUPPORTBOT_SLACK_API_URL", _api_address, SLACK_API_URL),
        brand=brands.get(""),
        brands=MappingProxyType({team: brand for team, brand in brands.items() if team}),
        rooms=MappingProxyType(read("SUPPORTBOT_SLACK_DESK", _pairs, {})),
    )


# --- one kind of value each; the errors finish a sentence that begins with the variable's name -----------------------
# Values of variables that may hold a password are never repeated in an error.


def _host(text: str) -> str:
    if not re.fullmatch(r"[\w.:-]+", text):
        raise ValueError(f"must be an address or a host name, such as 127.0.0.1 or 0.0.0.0, not {text!r}.")
    return text


def _port(text: str) -> int:
    if not text.isascii() or not text.isdecimal() or not 0 < int(text) < 65_536:
        raise ValueError(f"must be a port from 1 to 65535, not {text!r}.")
    return int(text)


def _switch(text: str) -> bool:
    values = {"1": True, "true": True, "yes": True, "on": True, "0": False, "false": False, "no": False, "off": False}
    if text.lower() not in values:
        raise ValueError(f"must be 1 (on) or 0 (off), not {text!r}.")
    return values[text.lower()]


def _log_format(text: str) -> LogFormat:
    if text not in (form.value for form in LogFormat):
        raise ValueError(f"must be console or json, not {text!r}.")
    return LogFormat(text)


def _folder(text: str) -> Path:
    return (PROJECT / Path(text).expanduser()).resolve()


def _secret(text: str) -> str:
    if len(text) < _LEAST_SECRET_CHARACTERS:
        raise ValueError(
            f"must have at least {_LEAST_SECRET_CHARACTERS} characters, and has {len(text)}; "
            "`openssl rand -base64 32` makes a good one."
        )
    return text


def _address(text: str) -> str:
    if not _ADDRESS.fullmatch(text):
        raise ValueError(f"must be a plain e-mail address, such as support@example.com, not {text!r}.")
    return text


def _origin(text: str) -> str:
    wrong = ValueError(f"must be an address such as https://help.example.com, without a path, not {text!r}.")
    try:
        parts = urlsplit(text)
        parts.port  # noqa: B018 - raises for a port that is none
    except ValueError:
        raise wrong from None
    plain = not (parts.query or parts.fragment or parts.username) and parts.path in ("", "/")
    if parts.scheme not in ("http", "https") or not parts.hostname or not plain:
        raise wrong
    return f"{parts.scheme}://{parts.netloc}".lower()


def _origins(text: str) -> tuple[str, ...]:
    try:
        return tuple(dict.fromkeys(_origin(part.strip()) for part in text.split(",") if part.strip()))
    except ValueError as error:
        raise ValueError(f"is a list with commas in between; each {error}") from error


def _slack_token(text: str, beginning: str) -> str:
    if not text.startswith(beginning) or not text.isascii() or not text.isprintable() or " " in text:
        raise ValueError(f"must be a token that begins with {beginning}.")
    return text


def _api_address(text: str) -> str:
    parts = urlsplit(text)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment or parts.username:
        raise ValueError(f"must be an address such as {SLACK_API_URL}, not {text!r}.")
    return text.rstrip("/") + "/"


def _pairs(text: str) -> dict[str, str]:
    """`T1=brand, T2=other`, or one brand alone, for all."""
    pairs: dict[str, str] = {}
    for part in filter(None, (part.strip() for part in text.split(","))):
        name, found, value = part.partition("=")
        name, value = (name.strip(), value.strip()) if found else ("", name.strip())
        if not re.fullmatch(r"[\w-]*", name) or not re.fullmatch(r"[\w-]+", value) or name in pairs:
            raise ValueError(f"is a list such as NAME=VALUE, NAME=VALUE, not {text!r}.")
        pairs[name] = value
    return pairs


def _networks(text: str) -> tuple[str, ...]:
    try:
        return tuple(str(ip_network(part.strip())) for part in text.split(",") if part.strip())
    except ValueError:
        raise ValueError(f"must be addresses or networks, such as 10.0.0.7, 10.1.0.0/16, not {text!r}.") from None


def _database(text: str) -> str:
    wrong = ValueError(
        "must be sqlite:///FILE or postgresql://USER:PASSWORD@HOST/NAME (docs/operations.md has examples of both)."
    )
    try:
        url = make_url(re.sub(r"^postgres://", "postgresql://", text))
    except (ArgumentError, ValueError):
        raise wrong from None
    driver, name = url.drivername, url.database
    if name == ":memory:":
        raise ValueError("must be a file: a database in memory would lose everything at the end.")
    if driver == "sqlite" and name:
        url = url.set(database=str(_folder(name)))
    elif driver not in ("postgresql", "postgresql+psycopg2") or not name:
        raise wrong
    return str(url.render_as_string(hide_password=False))


def _redis(text: str) -> str:
    if not re.match(r"rediss?://[^/\s]+|unix://\S+", text):
        raise ValueError("must be redis://HOST:PORT/0, rediss:// for TLS, or unix:///SOCKET.")
    return text


def _token(text: str) -> str:
    if not re.fullmatch(r"[\w.-]{20,200}", text):
        raise ValueError("must be the bot's token as the platform shows it, and nothing else.")
    return text


def _brand_id(text: str) -> str:
    if not re.fullmatch(r"[a-z0-9][a-z0-9_-]*", text):
        raise ValueError(f"must be a brand's id as in its pack's file name, not {text!r}.")
    return text


def _guilds(text: str) -> dict[int, str]:
    pairs = [part.strip().partition("=") for part in text.split(",") if part.strip()]
    if not all(number.strip().isdecimal() for number, _, _ in pairs):
        raise ValueError(f"must be server ids with their brands, such as 290926798626357999=joltsms, not {text!r}.")
    return {int(number): _brand_id(brand.strip()) for number, _, brand in pairs}


def _shards(text: str) -> int:
    if not text.isascii() or not text.isdecimal() or not 0 < int(text) < 10_000:
        raise ValueError(f"must be a number of shards from 1, not {text!r}.")
    return int(text)


def _base(text: str, *schemes: str) -> str:
    parts = urlsplit(text)
    if parts.scheme not in schemes or not parts.hostname or parts.query or parts.fragment:
        raise ValueError(f"must be an address that starts with {schemes[0]}://, not {text!r}.")
    return text.rstrip("/")


def _smtp(text: str, sender: str | None) -> SmtpSettings:
    wrong = ValueError("must be smtp://USER:PASSWORD@HOST:PORT, or smtps:// for TLS from the start.")
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        raise wrong from None
    schemes = {"smtps": SmtpSecurity.TLS, "smtp": SmtpSecurity.STARTTLS}
    options = {"": None, "starttls=1": SmtpSecurity.STARTTLS, "starttls=0": SmtpSecurity.NONE}
    if parts.scheme not in schemes or not parts.hostname or parts.path not in ("", "/") or parts.query not in options:
        raise wrong
    security = schemes[parts.scheme]
    if parts.scheme == "smtp":
        security = options[parts.query] or security
    if sender is None:
        raise ValueError("is set, so MAIL_FROM must be too: the address that mail comes from.")
    return SmtpSettings(
        host=parts.hostname,
        port=port or _SMTP_PORTS[security],
        sender=sender,
        security=security,
        user=unquote(parts.username) if parts.username else None,
        password=unquote(parts.password) if parts.password else None,
    )
