"""A host of its own behind a cable: a network namespace and a veth pair, whose far end can be pulled out."""

from __future__ import annotations

import os
import shutil
import subprocess

NEAR = "198.18.77.1"
"""Our end of the cable (an address of RFC 2544's range, which nobody uses for anything else)."""
FAR = "198.18.77.2"
NEAR_V6 = "fd00:7777::1"
"""The same for IPv6 (RFC 4193)."""
FAR_V6 = "fd00:7777::2"
HAS_IPV6 = os.path.exists("/proc/net/if_inet6")


def missing() -> str | None:
    """Why there can be none, for a skip; None when there can."""
    if os.geteuid() != 0:
        return "network namespaces need root"
    if shutil.which("ip") is None:
        return "ip is missing: apt-get install iproute2"
    name = f"mediaha-{os.getpid()}-try"
    tried = subprocess.run(["ip", "netns", "add", name], capture_output=True, text=True, check=False)
    if tried.returncode != 0:
        return f"no network namespace can be made here: {tried.stderr.strip()}"
    _ip("netns", "del", name)
    return None


class Namespace:
    """One such host; ``inside`` stands before a command that is to run there."""

    def __init__(self) -> None:
        self.name = f"mediaha-{os.getpid()}"
        self.near = f"mh{os.getpid() % 100000}"
        """Our interface; the other end's is called far."""
        self.inside = ("ip", "netns", "exec", self.name)
        self.inside_network = ("nsenter", f"--net=/run/netns/{self.name}")
        """The same, with the mounts that the rest of the machine sees."""
        _ip("netns", "add", self.name)
        _ip("-n", self.name, "link", "set", "lo", "up")
        self._lay_cable()

    def _lay_cable(self) -> None:
        _ip("link", "add", self.near, "type", "veth", "peer", "name", "far", "netns", self.name)
        _ip("address", "add", f"{NEAR}/30", "dev", self.near)
        _ip("link", "set", self.near, "up")
        if HAS_IPV6:
            _ip("address", "add", f"{NEAR_V6}/126", "dev", self.near, "nodad")
            _ip("-n", self.name, "address", "add", f"{FAR_V6}/126", "dev", "far", "nodad")
        _ip("-n", self.name, "address", "add", f"{FAR}/30", "dev", "far")
        self.mend()

    def rebuild(self) -> None:
        """Another cable, with interfaces of the same names and addresses."""
        _ip("link", "del", self.near)
        self._lay_cable()

    def number(self) -> int:
        """The kernel's, which no other namespace has at this time."""
        return os.stat(f"/run/netns/{self.name}").st_ino

    def mac(self) -> str:
        """Of the far end."""
        shown = subprocess.run(
            ["ip", "-n", self.name, "link", "show", "far"], capture_output=True, text=True, check=True
        )
        return shown.stdout.split("link/ether ")[1].split()[0]

    def cut(self) -> None:
        """Pull the cable out."""
        _ip("-n", self.name, "link", "set", "far", "down")

    def mend(self) -> None:
        """Plug it in again."""
        _ip("-n", self.name, "link", "set", "far", "up")

    def swallow(self, first: int, last: int) -> None:
        """Drop what comes to these UDP ports, without a word to anybody."""
        chain = "add table inet gray; add chain inet gray in { type filter hook input priority 0; }"
        rule = f"add rule inet gray in udp dport {first}-{last} drop"
        subprocess.run([*self.inside, "nft", f"{chain}; {rule}"], check=True)

    def swallow_no_more(self) -> None:
        """Let everything through again."""
        subprocess.run([*self.inside, "nft", "delete table inet gray"], check=True)

    def __enter__(self) -> Namespace:
        return self

    def __exit__(self, *_: object) -> None:
        _ip("link", "del", self.near)
        _ip("netns", "del", self.name)


def _ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True)
