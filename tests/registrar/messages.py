"""REGISTER requests of test phones, and their credentials."""

import re

from mediaha.model.address import Address
from mediaha.model.user import User
from mediaha.sip.auth.client import Account, Answerer
from mediaha.sip.auth.digest import HashedSecret
from mediaha.sip.message import Headers, Request, Response
from mediaha.sip.target import UDP, Target

HOME = Target(UDP, Address("192.0.2.7", 5060), "", "udp")


def user(name="anna", secret="sesame", domain="example.test", hashes=("md5", "sha256")):
    hashed = HashedSecret.of(name, domain, secret)
    return User(
        name, domain, domain, hashed.md5 if "md5" in hashes else None, hashed.sha256 if "sha256" in hashes else None
    )


def register(*contacts, name="anna", cseq=1, call_id="one", domain="example.test", more=()):
    address = f"<sip:{name}@{domain}>"
    fields = [
        ("Via", "SIP/2.0/UDP 192.0.2.7;branch=z9hG4bKx"),
        ("Max-Forwards", "70"),
        ("From", f"{address};tag=f"),
        ("To", address),
        ("Call-ID", call_id),
        ("CSeq", f"{cseq} REGISTER"),
        *(("Contact", contact) for contact in contacts),
        *more,
    ]
    return Request("REGISTER", f"sip:{domain}", Headers(fields))


class Prover:
    """A phone's side of digest authentication."""

    def __init__(self, name="anna", secret="sesame", realm="example.test"):
        self.answerer = Answerer(Account(name, realm, HashedSecret.of(name, realm, secret)))

    def answer(self, request, answer):
        response = Response(answer.status, "", Headers(answer.headers))
        return self.answerer.answer(request, response, "cnonce")

    def again(self, request):
        """With the nonce of last time, and the next count."""
        return self.answerer.prove(request, "cnonce")


def listed(answer):
    """URI and seconds of each contact in a 200."""
    values = [value for name, value in answer.headers if name == "Contact"]
    return {re.search("<(.*)>", value)[1]: int(re.search(r"expires=(\d+)", value)[1]) for value in values}
