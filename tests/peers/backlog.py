"""Packets that the kernel itself had no room for, before any socket or program could count them."""

from pathlib import Path


def dropped() -> int:
    """Since the machine was started, of all its traffic: the queues between senders and receivers were full.

    They are when a core is kept from its work for long, which happens on a busy machine.
    """
    lines = Path("/proc/net/softnet_stat").read_text().splitlines()
    return sum(int(line.split()[1], 16) for line in lines)
