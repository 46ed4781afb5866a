"""The configuration of the local Temporal server and of its Web UI, written anew at every start."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

HISTORY_SHARDS = 4  # fixed for the life of a store
SERVICES = ("frontend", "history", "matching", "worker")
LOOPBACK = "127.0.0.1"


@dataclass(frozen=True)
class ServerPorts:
    """Each of the four services listens twice; the frontend also answers HTTP."""

    grpc: Mapping[str, int]
    membership: Mapping[str, int]
    http: int


@dataclass(frozen=True)
class PostgresStore:
    """Where the server keeps its default store."""

    port: int
    database: str
    user: str
    password: str


def dynamic(*, time_skipping: bool) -> dict[str, Any]:
    """Server switches, the same for a built server and for the command-line server.

    None that makes the server read its search attributes anew each time it needs one: that is several questions to its store
    for every case, and on a SQL store ours are names for columns that are there from the start, known within seconds.
    """
    switches: dict[str, Any] = {
        "frontend.namespaceRPS.visibility": 500,
        "frontend.enableCancelWorkerPollsOnShutdown": True,
        "frontend.enableServerVersionCheck": False,
        # A failing process must show on its case within a minute; the SDK lets later tries time out, so five take longer.
        "system.numConsecutiveWorkflowTaskProblemsToTriggerSearchAttribute": 2,
    }
    if time_skipping:
        switches["frontend.WorkflowTimeSkippingEnabled"] = True
    return switches


def dynamic_file(switches: Mapping[str, Any]) -> dict[str, Any]:
    return {name: [{"value": value}] for name, value in switches.items()}


def server(
    folder: Path, ports: ServerPorts, postgres: PostgresStore | None, dynamic_config: Path, log_level: str = "warn"
) -> dict[str, Any]:
    """The server's ordinary configuration: default store on PostgreSQL when there is one, visibility on a file."""
    default = _postgres(postgres) if postgres else _sqlite(folder / "default.db")
    return {
        "log": {"stdout": True, "level": log_level},
        "persistence": {
            "defaultStore": "default",
            "visibilityStore": "visibility",
            "numHistoryShards": HISTORY_SHARDS if postgres else 1,
            "datastores": {"default": {"sql": default}, "visibility": {"sql": _sqlite(folder / "visibility.db")}},
        },
        "global": {"membership": {"maxJoinDuration": "30s", "broadcastAddress": LOOPBACK}},
        "services": {
            name: {
                "rpc": {
                    "grpcPort": ports.grpc[name],
                    "membershipPort": ports.membership[name],
                    "bindOnIP": LOOPBACK,
                    **({"httpPort": ports.http} if name == "frontend" else {}),
                }
            }
            for name in SERVICES
        },
        "clusterMetadata": {
            "enableGlobalNamespace": False,
            "failoverVersionIncrement": 10,
            "masterClusterName": "active",
            "currentClusterName": "active",
            "clusterInformation": {
                "active": {
                    "enabled": True,
                    "initialFailoverVersion": 1,
                    "rpcName": "frontend",
                    "rpcAddress": f"{LOOPBACK}:{ports.grpc['frontend']}",
                }
            },
        },
        "dcRedirectionPolicy": {"policy": "noop"},
        "archival": {"history": {"state": "disabled"}, "visibility": {"state": "disabled"}},
        "namespaceDefaults": {"archival": {"history": {"state": "disabled"}, "visibility": {"state": "disabled"}}},
        "publicClient": {"hostPort": f"{LOOPBACK}:{ports.grpc['frontend']}"},
        "dynamicConfigClient": {"filepath": str(dynamic_config), "pollInterval": "10s"},
    }


def _postgres(store: PostgresStore) -> dict[str, Any]:
    return {
        "pluginName": "postgres12_pgx",
        "databaseName": store.database,
        "connectAddr": f"{LOOPBACK}:{store.port}",
        "connectProtocol": "tcp",
        "user": store.user,
        "password": store.password,
        "maxConns": 20,
        "maxIdleConns": 20,
        "maxConnLifetime": "1h",
    }


def _sqlite(file: Path) -> dict[str, Any]:
    return {
        "pluginName": "sqlite",
        "databaseName": str(file),
        "connectAddr": "localhost",
        "connectProtocol": "tcp",
        "connectAttributes": {
            "mode": "rwc",
            "cache": "private",
            "setup": "true",
            "journal_mode": "wal",
            "synchronous": "2",
            "busy_timeout": "10000",
        },
        "maxConns": 1,
        "maxIdleConns": 1,
        "maxConnLifetime": "1h",
    }


def web_ui(address: str, port: int, namespace: str) -> dict[str, Any]:
    """The Web UI asks our server only, and no news from outside."""
    return {
        "temporalGrpcAddress": address,
        "host": LOOPBACK,
        "port": port,
        "enableUi": True,
        "defaultNamespace": namespace,
        "disableNewsFetch": True,
        "notifyOnNewVersion": False,
        "distribution": "fascia",
        "showTemporalSystemNamespace": False,
        "cors": {"cookieInsecure": True, "allowOrigins": [f"http://{LOOPBACK}:{port}"]},
        "hideLogs": True,
    }


def write(path: Path, content: Mapping[str, Any]) -> Path:
    """JSON is YAML; the file may hold the store's password, so its owner alone reads it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f".{path.name}.unfinished")  # a running server may be reading
    unfinished.touch(mode=0o600)
    unfinished.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    return unfinished.replace(path)
