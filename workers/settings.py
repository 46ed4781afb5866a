"""Everything an operator may set, read in this one place: from the environment, then from what the local stack wrote.

A setting is looked for in the environment (``FASCIA_...``, and Temporal's own ``TEMPORAL_...`` names), then in
``<home>/addresses.json``, which ``fascia up`` writes with the addresses of the parts it started. Secrets never come as
values but from files: ``FASCIA_<NAME>_FILE`` or ``<home>/secrets/<name>``.
"""

from __future__ import annotations

import json
import os
from datetime import time
from pathlib import Path
from typing import Any, Literal, Self
from urllib.parse import quote, urlsplit, urlunsplit

from pydantic import AliasChoices, Field, SecretStr, field_validator, model_validator
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

ADDRESSES = "addresses.json"
SECRETS = "secrets"


def _temporal(name: str) -> Any:
    """A setting under the name Temporal's own tools read, so that one environment serves both."""
    return AliasChoices(f"TEMPORAL_{name.upper()}", f"temporal_{name}")


class Settings(BaseSettings):
    """What the workers, the doors and the command line need to know. Times are in seconds."""

    model_config = SettingsConfigDict(
        env_prefix="FASCIA_",
        frozen=True,
        extra="ignore",
        populate_by_name=True,
        env_ignore_empty=True,
        validate_default=True,
    )

    home: Path = Path(".fascia")
    cache: Path = Field(default_factory=lambda: Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache") / "fascia")
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"

    # Our own store; the password may stand in the file `database_password` instead of the address.
    database_url: SecretStr = SecretStr("")
    database_pool: int = Field(default=10, ge=1)

    # Temporal.
    temporal_address: str = Field(default="", validation_alias=_temporal("address"))
    temporal_namespace: str = Field(default="fascia", validation_alias=_temporal("namespace"))
    temporal_tls: bool = Field(default=False, validation_alias=_temporal("tls"))
    temporal_tls_server_name: str = Field(default="", validation_alias=_temporal("tls_server_name"))
    temporal_tls_server_ca_cert_path: Path | None = Field(
        default=None, validation_alias=_temporal("tls_server_ca_cert_path")
    )
    temporal_tls_client_cert_path: Path | None = Field(default=None, validation_alias=_temporal("tls_client_cert_path"))
    temporal_tls_client_key_path: Path | None = Field(default=None, validation_alias=_temporal("tls_client_key_path"))
    temporal_api_key: SecretStr | None = Field(default=None, validation_alias=_temporal("api_key"))
    temporal_ui_url: str = ""

    # The REST door.
    api_host: str = "127.0.0.1"
    api_port: int = Field(default=8080, ge=1, le=65535)
    api_url: str = ""
    api_connections: int = Field(default=1000, ge=1, description="at once; of one address half of them")

    # The MLLP door. TLS where a certificate and its key are named, mutual TLS where an authority for senders' is, too.
    mllp_host: str = "127.0.0.1"
    mllp_port: int = Field(default=2575, ge=1, le=65535)
    mllp_certificate: Path | None = None
    mllp_key: Path | None = None
    mllp_client_authority: Path | None = None
    mllp_connections: int = Field(default=500, ge=1)
    mllp_frame_bytes: int = Field(default=16 * 1024 * 1024, ge=1024)
    mllp_frame_seconds: float = Field(default=60.0, gt=0)
    mllp_idle_seconds: float = Field(default=3600.0, gt=0)
    mllp_in_work: int = Field(default=2000, ge=1, description="messages in work at once, of all connections")
    mllp_in_work_per_connection: int = Field(default=64, ge=1)
    mllp_held_bytes: int = Field(default=128 * 1024 * 1024, ge=2048)
    mllp_share: float = Field(default=0.5, gt=0, le=1, description="of connections, work and memory, for one address")
    mllp_patience: float = Field(default=20.0, gt=0, description="how long a message may wait to be kept, before AE")
    mllp_doors: int = Field(default=1, ge=1, le=16, description="`fascia up` starts so many on the one port")
    mllp_shared_port: bool = Field(default=False, description="let several listeners of this machine share the port")

    # The ERP; which facility it serves is a row of the register.
    erp_kind: str = "tryton"
    erp_url: str = ""
    erp_database: str = "hospital"
    erp_user: str = "fascia"
    erp_rate: float = Field(default=20.0, gt=0, description="calls per second the ERP task queue may start")
    erp_timeout: float = Field(default=20.0, gt=0)

    # An HR system that is asked what changed; ``hr_sender`` is its row of the register, whose facility and tables it has.
    hr_kind: str = "tryton"
    hr_url: str = ""
    hr_database: str = "people"
    hr_user: str = "fascia"
    hr_sender: str = "HR"
    hr_timeout: float = Field(default=20.0, gt=0)
    hr_rate: float = Field(default=10.0, gt=0)  # calls a second it allows
    hr_away_after: float = Field(default=300.0, gt=0)  # seconds it may not be read before the attention list says so

    # Workflows and steps; tests shorten them to see a killed worker's cases go on at once. To remember no workflow is for
    # tests of replaying: the SDK then drops the tasks of cases that come while another waits for a step on our own store.
    sticky_timeout: float = Field(default=10.0, gt=0)
    max_cached_workflows: int = Field(default=1000, ge=0)
    task_timeout: float = Field(default=10.0, gt=0)

    # The loops beside the workers.
    poll_interval: float = Field(default=2.0, gt=0)
    sweep_interval: float = Field(default=20.0, gt=0)
    route_interval: float = Field(default=1.0, gt=0)
    usage_interval: float = Field(default=0.5, gt=0)
    count_at: time = time(2)  # of each facility's day, when its stock is compared with the ERP's books

    # Traces leave the house only when an address is set.
    otlp_endpoint: str = ""

    # Ports of the local stack's own servers, when free ones are not wanted.
    database_port: int | None = Field(default=None, ge=1, le=65535)
    temporal_port: int | None = Field(default=None, ge=1, le=65535)
    temporal_ui_port: int | None = Field(default=None, ge=1, le=65535)

    @model_validator(mode="after")
    def _certificate_and_key(self) -> Self:
        if (self.mllp_certificate is None) != (self.mllp_key is None):
            raise ValueError("mllp_certificate and mllp_key go together")
        if self.mllp_client_authority is not None and self.mllp_certificate is None:
            raise ValueError("mllp_client_authority needs mllp_certificate and mllp_key")
        return self

    @field_validator("home", "cache")
    @classmethod
    def _absolute(cls, folder: Path) -> Path:
        return folder.expanduser().absolute()

    @model_validator(mode="after")
    def _complete(self) -> Self:
        """Put the password from its file into the database address, and derive the API's own address."""
        address = self.database_url.get_secret_value()
        if address and (password := self.secret("database_password")) is not None:
            object.__setattr__(self, "database_url", SecretStr(_with_password(address, password.get_secret_value())))
        if not self.api_url:
            object.__setattr__(self, "api_url", f"http://{self.api_host}:{self.api_port}")
        return self

    def secret_path(self, name: str) -> Path:
        """Where the secret ``name`` is kept: the file the environment names, or the one in the state folder."""
        named = os.environ.get(f"FASCIA_{name.upper()}_FILE")
        return Path(named) if named else self.home / SECRETS / name

    def secret(self, name: str) -> SecretStr | None:
        """The secret ``name``, or None when there is no such file."""
        path = self.secret_path(name)
        return SecretStr(path.read_text(encoding="utf-8").strip()) if path.is_file() else None

    def temporal_connection(self) -> dict[str, Any]:
        """How ``temporalio.client.Client.connect`` reaches the server: its first argument and its options."""
        options: dict[str, Any] = {"target_host": self.temporal_address, "namespace": self.temporal_namespace}
        if self.temporal_api_key is not None:
            options["api_key"] = self.temporal_api_key.get_secret_value()
        authority, certificate, key = (
            path.read_bytes() if path is not None else None
            for path in (
                self.temporal_tls_server_ca_cert_path,
                self.temporal_tls_client_cert_path,
                self.temporal_tls_client_key_path,
            )
        )
        if self.temporal_tls or authority or certificate or self.temporal_tls_server_name:
            from temporalio.service import TLSConfig

            options["tls"] = TLSConfig(
                domain=self.temporal_tls_server_name or None,
                server_root_ca_cert=authority,
                client_cert=certificate,
                client_private_key=key,
            )
        return options

    @property
    def seal_key(self) -> SecretStr | None:
        """The key that seals decisions and documents given at our doors; made by ``fascia up`` at the first start."""
        return self.secret("seal_key")

    @property
    def erp_password(self) -> SecretStr | None:
        return self.secret("erp_password")

    @property
    def hr_password(self) -> SecretStr | None:
        return self.secret("hr_password")

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return init_settings, env_settings, _Addresses(settings_cls)


class EnvironmentSettings(Settings):
    """Only what the operator set: the local stack must not take its own last addresses for a named server."""

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return init_settings, env_settings


class _Addresses(PydanticBaseSettingsSource):
    """The flat file of addresses the local stack keeps in its state folder, under the environment's own names."""

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:
        raise NotImplementedError  # the whole file is read at once, below

    def __call__(self) -> dict[str, Any]:
        home = Path(self.current_state.get("home", Settings.model_fields["home"].default)).expanduser()
        try:
            written = json.loads((home / ADDRESSES).read_text(encoding="utf-8"))
        except FileNotFoundError:
            return {}
        fields = Settings.model_fields
        values = {name.removeprefix("FASCIA_").lower(): value for name, value in written.items() if value != ""}
        known = {name: value for name, value in values.items() if name in fields}
        # An address set in the environment under Temporal's own name must win over the file's.
        taken = {key.lower() for key in self.current_state}
        return {name: value for name, value in known.items() if name not in taken}


def _with_password(address: str, password: str) -> str:
    parts = urlsplit(address)
    if parts.password is not None or "@" not in parts.netloc:
        return address
    user, _, host = parts.netloc.rpartition("@")
    return urlunsplit(parts._replace(netloc=f"{user}:{quote(password, safe='')}@{host}"))


def load(home: Path | None = None) -> Settings:
    """The settings of this process; ``home`` when a caller already knows the state folder."""
    return Settings() if home is None else Settings(home=home)
