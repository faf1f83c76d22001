"""The rules that keep the tree legible: imports go down only, deciders have no clock, unsafe code has one room."""

from __future__ import annotations

import ast
import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "python" / "mediaha"

RANKS = {
    "model": 0,
    "sip": 1,
    "nets": 2,
    "media": 2,
    "failover": 2,
    "load": 2,
    "store": 2,
    "registrar": 2,
    "tca": 2,
}
TOP = 3
"""Whatever is not listed wires the parts together: cli, node, the drill, the package's own face."""

CORE_USERS = {"media", "failover", "load", "sip"}
"""The packages that may touch the extension module."""

CRATE_MAY_USE = {
    "time": set(),
    "ng": {"time"},
    "media": {"time", "ng"},
    "failover": {"time", "ng"},
    "net": {"time", "ng", "media", "failover"},
    "load": {"time", "ng", "net"},
    "sip": set(),
    "sim": {"time", "ng", "media", "failover"},
    "py": {"time", "ng", "media", "failover", "net", "load", "sip"},
}

CLOCKS_AND_CHANCE = {"time", "random", "secrets", "trio", "socket", "threading", "asyncio"}


def modules():
    return sorted(path for path in PACKAGE.rglob("*.py") if "__pycache__" not in path.parts)


def room(path: Path) -> str:
    parts = path.relative_to(PACKAGE).parts
    return parts[0] if len(parts) > 1 else ""


def imports(path: Path):
    """Every module that `path` imports, by full name, imports inside functions included."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: imports are written in full"
            yield node.module
            if node.module == "mediaha":
                yield from (f"mediaha.{name.name}" for name in node.names)


def rank(name: str) -> int:
    return RANKS.get(name, TOP)


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_go_down_and_never_sideways(path):
    here = room(path)
    for name in imports(path):
        if not name.startswith("mediaha."):
            continue
        there = name.split(".")[1]
        if there == "_core":
            assert here in CORE_USERS, f"{here or path.name} touches mediaha._core"
            continue
        if there == here or not (PACKAGE / there).exists():
            continue
        if rank(here) < TOP:
            assert rank(there) < rank(here), f"{here} imports {there}: only lower ranks may be imported"


def test_every_room_has_a_rank_or_stands_on_top():
    known = set(RANKS) | {"cli", "node", "ops", "drill"}
    rooms = {path.name for path in PACKAGE.iterdir() if path.is_dir() and path.name != "__pycache__"}
    assert rooms <= known, f"give {rooms - known} a place in the order"


SIP_DOERS = {
    "endpoint.py",
    "resolve/resolver.py",
    "transport/seam.py",
    "transport/udp.py",
    "transport/channel.py",
    "transport/connection.py",
    "transport/streams.py",
    "transport/tls.py",
}

NETS_DOERS = {
    "nets.py",
    "reception.py",
    "carrier.py",
    "entrance.py",
    "switchboard.py",
    "journal.py",
    "ports.py",
    "__init__.py",
}

DECIDERS = [
    *sorted((PACKAGE / "model").glob("*.py")),
    *(
        path
        for path in sorted((PACKAGE / "sip").rglob("*.py"))
        if str(path.relative_to(PACKAGE / "sip")) not in SIP_DOERS
    ),
    *(path for path in sorted((PACKAGE / "registrar").glob("*.py")) if path.name not in {"phones.py", "__init__.py"}),
    *(path for path in sorted((PACKAGE / "nets").glob("*.py")) if path.name not in NETS_DOERS),
]


@pytest.mark.parametrize("path", DECIDERS, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_a_decider_takes_time_and_chance_as_arguments(path):
    used = {name.split(".")[0] for name in imports(path)} & CLOCKS_AND_CHANCE
    assert not used, f"{path.name} imports {used}"


@pytest.mark.parametrize("crate", sorted(CRATE_MAY_USE))
def test_crates_depend_downwards(crate):
    manifest = tomllib.loads((ROOT / "rust" / crate / "Cargo.toml").read_text())
    used = {name.removeprefix("mediaha-") for name in manifest.get("dependencies", {}) if name.startswith("mediaha-")}
    assert used <= CRATE_MAY_USE[crate], f"{crate} depends on {used - CRATE_MAY_USE[crate]}"


def test_unsafe_code_is_in_one_room():
    outside = [
        str(path.relative_to(ROOT))
        for path in (ROOT / "rust").rglob("*.rs")
        if "sys" not in path.parts and "target" not in path.parts
        if re.search(r"\bunsafe\s*(\{|fn|impl)", path.read_text())
    ]
    assert not outside, "unsafe code belongs to rust/net/src/sys"
