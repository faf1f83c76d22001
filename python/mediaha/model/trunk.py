"""Trunks as they are configured, and as they are seen to be."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path


class WhenDown(StrEnum):
    """What becomes of the calls that go by a target that is down."""

    KEEP = "keep"
    """They go on: their media does not pass there, and their session timers end those that are really gone."""
    END = "end"
    """They are ended at once."""


class Redirects(StrEnum):
    """What becomes of a 3xx."""

    PASS = "pass"
    """It goes to the caller, who decides."""
    FOLLOW = "follow"
    """We call where it says ourselves, if that is a domain or a user of ours."""


@dataclass(frozen=True, slots=True)
class Credentials:
    """Who we are at a carrier that asks (RFC 7616). A secret itself is never here: it is in a file or a variable."""

    username: str
    realm: str | None = None
    """The only realm that is answered; None: whichever asks, which takes the secret itself."""
    secret_file: Path | None = None
    secret_env: str | None = None
    md5: str | None = field(default=None, repr=False)
    """H(username:realm:secret) in hexadecimal; as good as the secret to whoever reads it."""
    sha256: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Trunk:
    """A way to a call manager: its targets in the order in which they are tried."""

    name: str
    targets: tuple[str, ...]
    """SIP URIs without a user: ``sip:192.0.2.20:5060``, ``sip:pbx.example.test;transport=tcp``."""
    check_s: float = 30.0
    """How often each is asked with OPTIONS; 0: never."""
    suspect_check_s: float = 2.0
    """The same while one is in doubt."""
    try_s_max: float = 2.0
    """How long one may be silent to a check, or to an INVITE that may go to another one."""
    failures: tuple[int, ...] = (503,)
    """Responses that count as failures. Busy and declined are answers."""
    down_after: int = 3
    up_after: int = 2
    when_down: WhenDown = WhenDown.KEEP
    trusted: bool = True
    """Identities are exchanged with it as they are (RFC 3325); else nothing that it asserts is believed."""
    history: bool = True
    """It gets Diversion and History-Info."""
    redirects: Redirects = Redirects.PASS
    credentials: Credentials | None = None
    register: str | None = None
    """Our address there (``sip:user@carrier``), when the carrier wants us to register it; None: it does not."""
    register_s: int = 600
    """For how long we ask to be known."""


class TrunkState(StrEnum):
    """How a target is."""

    UNKNOWN = "unknown"
    UP = "up"
    SUSPECT = "suspect"
    DOWN = "down"


@dataclass(frozen=True, slots=True)
class TargetView:
    """One target of a trunk, for people."""

    trunk: str
    target: str
    """Its URI, as configured."""
    address: str
    """Where that is; empty while its name has not been found."""
    state: TrunkState
    why: str
    since: float
    """Monotonic seconds."""


@dataclass(frozen=True, slots=True)
class RegistrationView:
    """A registration of ours at a carrier, for people."""

    trunk: str
    address: str
    """Ours, as the carrier knows it."""
    target: str
    """Where we are registered; empty while we are not."""
    registered: bool
    why: str
    """What the last attempt failed for; empty when it did not."""
    expires_s: float | None
    """None while we are not registered."""
