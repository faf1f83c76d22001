"""SIPp as caller or callee: scenarios written as steps, run as a process, the outcome read from its own statistics.

A scenario is a list of steps. The party that calls begins with ``invite()``, the party that is called with
``take_invite()``; after that both use the same steps. Media ports are given with ``-key``, so that a test can
own the sockets and look at every packet itself.
"""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from tests.peers.ports import free_udp_port, is_listening

SDP = """\
v=0
o=sipp 53655765 {version} IN IP[media_ip_type] [media_ip]
s=-
c=IN IP[media_ip_type] [media_ip]
t=0 0
m=audio [rtp_port] RTP/AVP 8
a=rtpmap:8 PCMA/8000
a={direction}
"""


@dataclass(frozen=True)
class Step:
    """A piece of SIPp's scenario XML."""

    xml: str


def _send(text: str, attributes: str = "") -> Step:
    body = text.strip("\n").replace("\n", "\r\n")
    return Step(f"<send {attributes}><![CDATA[\n{body}\n\n]]></send>")


def _body(direction: str | None, version: int = 1) -> str:
    if direction is None:
        return "Content-Length: 0\n\n"
    return "Content-Type: application/sdp\nContent-Length: [len]\n\n" + SDP.format(
        direction=direction, version=version
    )


def _caller_request(method: str, uri: str, extra: str, to_tag: str = "[peer_tag_param]") -> str:
    return f"""
{method} {uri} SIP/2.0
Via: SIP/2.0/[transport] [local_ip]:[local_port];branch=[branch]
From: "caller" <sip:caller@[local_ip]:[local_port]>;tag=[pid]c[call_number]
To: <sip:[service]@[remote_ip]:[remote_port]>{to_tag}
Call-ID: [call_id]
CSeq: [cseq] {method}
Contact: <sip:caller@[contact]>
Max-Forwards: 70
{extra}"""


def invite(direction: str | None = "sendrecv", headers: str = "", host: str = "[remote_ip]:[remote_port]") -> Step:
    """Call the service; without a direction, without an offer."""
    uri = f"sip:[service]@{host}"
    return _send(_caller_request("INVITE", uri, headers + _body(direction), to_tag=""), 'retrans="500"')


def request(
    method: str,
    direction: str | None = None,
    version: int = 2,
    *,
    uri: str = "[next_url]",
    to_tag: str = "[peer_tag_param]",
    headers: str = "",
) -> Step:
    """The caller sends a further request; inside the dialog unless told otherwise."""
    retrans = "" if method == "ACK" else 'retrans="500"'
    return _send(_caller_request(method, uri, headers + _body(direction, version), to_tag), retrans)


def cancel() -> Step:
    """The caller gives up while it rings."""
    return _send(
        """
CANCEL sip:[service]@[remote_ip]:[remote_port] SIP/2.0
Via: SIP/2.0/[transport] [local_ip]:[local_port];branch=z9hG4bK-[pid]-[call_number]-0
From: "caller" <sip:caller@[local_ip]:[local_port]>;tag=[pid]c[call_number]
To: <sip:[service]@[remote_ip]:[remote_port]>
Call-ID: [call_id]
CSeq: 1 CANCEL
Max-Forwards: 70
Content-Length: 0

"""
    )


def ack_failure() -> Step:
    """The caller acknowledges a final response that is not 2xx: the same branch as the INVITE."""
    return _send(
        """
ACK sip:[service]@[remote_ip]:[remote_port] SIP/2.0
[last_Via:]
From: "caller" <sip:caller@[local_ip]:[local_port]>;tag=[pid]c[call_number]
[last_To:]
Call-ID: [call_id]
CSeq: 1 ACK
Max-Forwards: 70
Content-Length: 0

"""
    )


def expect(status: int, optional: bool = False, pattern: str | None = None, *, then: str | None = None) -> Step:
    """Receive a response; ``pattern`` must be found in it. It goes on at the label ``then``."""
    attributes = f'response="{status}" {"optional=" + chr(34) + "true" + chr(34) if optional else ""}'
    if then is not None:
        attributes += f' next="{then}"'
    return Step(f'<recv {attributes} rrs="true">{_search(pattern)}</recv>')


def _search(pattern: str | None, more: str = "") -> str:
    found = ""
    if pattern is not None:
        found = f'<ereg regexp="{pattern}" search_in="msg" check_it="true" assign_to="found"/>'
    return f"<action>{found}{more}</action>" if found or more else ""


def expect_reliable(status: int, pattern: str | None = None) -> list[Step]:
    """Receive a provisional response that must be acknowledged, and acknowledge it (RFC 3262)."""
    number = '<ereg regexp="[0-9]+" search_in="hdr" header="RSeq:" assign_to="rseq"/>'
    received = Step(f'<recv response="{status}" rrs="true">{_search(pattern, number)}</recv>')
    return [received, request("PRACK", headers="RAck: [$rseq] 1 INVITE\n"), expect(200, pattern="PRACK")]


def provisional() -> list[Step]:
    """Whatever may come before the final response."""
    return [expect(status, optional=True) for status in (100, 180, 183)]


def take(
    method: str,
    optional: bool = False,
    pattern: str | None = None,
    timeout_ms: int | None = None,
    *,
    then: str | None = None,
    overdue: str | None = None,
) -> Step:
    """Receive a request, and go on at the label ``then``; at the label ``overdue`` when it does not come in time."""
    remember = ""
    if method == "INVITE":
        remember = (
            '<ereg regexp="sip:[^>]*" search_in="hdr" header="Contact:" assign_to="target"/>'
            '<ereg regexp=".*" search_in="hdr" header="From:" assign_to="peer"/>'
            '<ereg regexp=".*" search_in="hdr" header="Via:" assign_to="way"/>'
            '<ereg regexp=".*" search_in="hdr" header="To:" assign_to="called"/>'
        )
    elif method == "ACK":
        remember = '<ereg regexp=".*" search_in="hdr" header="To:" assign_to="self"/>'
    attributes = f'request="{method}"'
    if optional:
        attributes += ' optional="true"'
    if timeout_ms is not None:
        attributes += f' timeout="{timeout_ms}"'
    if then is not None:
        attributes += f' next="{then}"'
    if overdue is not None:
        attributes += f' ontimeout="{overdue}"'
    return Step(f"<recv {attributes}>{_search(pattern, remember)}</recv>")


def ignore(what: str | int) -> Step:
    """From here on such a request, or response, changes nothing. It stands before something else to receive."""
    kind = "response" if isinstance(what, int) else "request"
    return Step(f'<recv {kind}="{what}" optional="global" advance_state="false"/>')


def label(name: str) -> Step:
    """A place to go on at; SIPp wants its name to be a number."""
    return Step(f'<label id="{name}"/>')


def respond(
    status: int,
    reason: str,
    direction: str | None = None,
    version: int = 1,
    headers: str = "",
    cseq: str = "[last_CSeq:]",
    contact: str = "<sip:sipp@[contact]>",
) -> Step:
    """Answer the request that came last; an answer to an INVITE is sent again until it is acknowledged."""
    first_tag = "" if status == 100 else ";tag=[pid]s[call_number]"
    text = f"""
SIP/2.0 {status} {reason}
[last_Via:]
[last_From:]
[last_To:]{first_tag}
[last_Call-ID:]
{cseq}
Contact: {contact}
{headers}{_body(direction, version)}"""
    return _send(text, 'retrans="500"' if status >= 200 and direction else "")


def respond_to_invite(
    status: int, reason: str, direction: str | None = None, version: int = 1, headers: str = "", fork: str = ""
) -> Step:
    """Answer the INVITE after other requests have come; ``fork``: as another phone that rings (of another To tag)."""
    text = f"""
SIP/2.0 {status} {reason}
Via:[$way]
From:[$peer]
To:[$called];tag=[pid]s[call_number]{fork}
Call-ID: [call_id]
CSeq: 1 INVITE
Contact: <sip:sipp@[contact]>
{headers}{_body(direction, version)}"""
    return _send(text, 'retrans="500"' if status >= 200 and direction else "")


def respond_in_dialog(
    status: int,
    reason: str,
    direction: str | None = None,
    version: int = 2,
    headers: str = "",
    acked: bool = True,
) -> Step:
    """Answer a request inside the dialog, whose To has its tag already. ``acked``: SDP is the answer to an INVITE."""
    text = f"""
SIP/2.0 {status} {reason}
[last_Via:]
[last_From:]
[last_To:]
[last_Call-ID:]
[last_CSeq:]
Contact: <sip:sipp@[contact]>
{headers}{_body(direction, version)}"""
    return _send(text, 'retrans="500"' if direction and acked else "")


def callee_request(
    method: str, direction: str | None = None, cseq: int = 1, version: int = 2, headers: str = ""
) -> Step:
    """The called party sends a request inside the dialog."""
    retrans = "" if method == "ACK" else 'retrans="500"'
    return _send(
        f"""
{method} [$target] SIP/2.0
Via: SIP/2.0/[transport] [local_ip]:[local_port];branch=[branch]
From:[$self]
To:[$peer]
Call-ID: [call_id]
CSeq: {cseq} {method}
Contact: <sip:sipp@[contact]>
Max-Forwards: 70
{headers}{_body(direction, version)}""",
        retrans,
    )


def challenged(status: int = 401) -> Step:
    """Receive a challenge; the next request may answer it with ``[authentication]``."""
    return Step(f'<recv response="{status}" auth="true"/>')


def register(name: str, domain: str, contacts: str, cseq: int, headers: str = "", call_id: str = "[call_id]") -> Step:
    """A user's phone registers; ``contacts`` and ``headers`` are header lines."""
    return _send(
        f"""
REGISTER sip:{domain} SIP/2.0
Via: SIP/2.0/[transport] [local_ip]:[local_port];branch=[branch]
From: <sip:{name}@{domain}>;tag=[pid]r[call_number]
To: <sip:{name}@{domain}>
Call-ID: {call_id}
CSeq: {cseq} REGISTER
Max-Forwards: 70
{contacts}{headers}Content-Length: 0

""",
        'retrans="500"',
    )


def pause(milliseconds: int) -> Step:
    """Let the call go on."""
    return Step(f'<pause milliseconds="{milliseconds}"/>')


def linger(milliseconds: int) -> Step:
    """The call is over, and its last response is given again to who has not heard it; at the end of a scenario."""
    return Step(f'<timewait milliseconds="{milliseconds}"/>')


def to_xml(steps: Iterable[Step | list[Step]]) -> str:
    """The scenario file."""
    flat = [step for part in steps for step in (part if isinstance(part, list) else [part])]
    body = "\n".join(step.xml for step in flat)
    known = ("found", "target", "peer", "self", "way", "called", "rseq")
    names = [name for name in known if f'assign_to="{name}"' in body]
    reference = f'<Reference variables="{",".join(names)}"/>' if names else ""
    return f'<?xml version="1.0" encoding="ISO-8859-1"?>\n<scenario name="steps">\n{body}\n{reference}\n</scenario>\n'


def begins(transaction: str, sent: Step) -> Step:
    """A request with a name for its transaction; without one, SIPp takes a late 200 to INVITE for that to BYE."""
    return Step(sent.xml.replace("<send ", f'<send start_txn="{transaction}" ', 1))


def again(sent: Step) -> Step:
    """What is sent again until it is answered."""
    return Step(sent.xml.replace("<send ", '<send retrans="500" ', 1))


def acknowledges(transaction: str, ack: Step) -> Step:
    """The ACK of a named INVITE; it is sent again whenever the 200 comes again."""
    return Step(ack.xml.replace("<send ", f'<send ack_txn="{transaction}" ', 1))


def answers(transaction: str, *received: Step) -> list[Step]:
    """The responses to a named request."""
    return [Step(one.xml.replace("<recv ", f'<recv response_txn="{transaction}" ', 1)) for one in received]


def checked(steps: Iterable[Step | list[Step]]) -> list[Step | list[Step]]:
    """The steps of a party that is called, which says that it is there when it is asked instead (OPTIONS)."""
    answer = _send("SIP/2.0 200 OK\n[last_Via:]\n[last_From:]\n[last_To:];tag=[pid]o[call_number]\n"
                   "[last_Call-ID:]\n[last_CSeq:]\nContent-Length: 0\n")  # fmt: skip
    asked, ended = Step('<nop next="2"/><label id="1"/>'), Step('<label id="2"/>')
    return [Step('<recv request="OPTIONS" optional="true" next="1"/>'), *steps, asked, answer, ended]


def until_listening(process: subprocess.Popen[bytes], port: int, transport: str = "udp") -> None:
    """Wait until the SIPp that is called can be: a call that came before would find a closed port."""
    deadline = time.monotonic() + 20
    while not is_listening(port, transport) and process.poll() is None:
        assert time.monotonic() < deadline, f"SIPp does not listen at {port}"
        time.sleep(0.005)


class Sipp:
    """One running SIPp. Give it time with ``wait``; it raises with SIPp's own words when a call failed."""

    def __init__(
        self,
        steps: Iterable[Step | list[Step]],
        folder: Path,
        name: str,
        *,
        remote: str | None = None,
        port: int | None = None,
        calls: int = 1,
        rate: int = 10,
        rtp_port: int = 6000,
        service: str = "desk",
        host: str = "127.0.0.1",
        tcp: bool = False,
        contact: str | None = None,
        extra: tuple[str, ...] = (),
    ) -> None:
        """``contact`` is the address in its Contact, where that is not its own; ``tcp``: over one connection."""
        self.name = name
        self.port = port or free_udp_port()
        self.folder = folder
        scenario = folder / f"{name}.xml"
        scenario.write_text(to_xml(steps))
        command = ["sipp", "-sf", str(scenario), "-i", host, "-p", str(self.port), "-m", str(calls)]
        command += ["-r", str(rate), "-s", service, "-key", "rtp_port", str(rtp_port), "-nostdin"]
        command += ["-trace_err", "-error_file", str(folder / f"{name}.errors"), "-trace_msg"]
        written = f"[{host}]" if ":" in host else host
        command += ["-key", "contact", contact or f"{written}:{self.port}", "-t", "t1" if tcp else "u1"]
        command += ["-message_file", str(folder / f"{name}.messages"), "-recv_timeout", "20000", *extra]
        if remote is not None:
            command.append(remote)
        self._output = (folder / f"{name}.screen").open("wb")
        self._process = subprocess.Popen(
            command, stdout=self._output, stderr=subprocess.STDOUT, cwd=folder, env={**os.environ, "TERM": "dumb"}
        )
        if remote is None:
            until_listening(self._process, self.port, "tcp" if tcp else "udp")

    def wait(self, timeout: float = 40) -> None:
        """Wait until all calls are over; every one must have gone as the scenario says."""
        try:
            status = self._process.wait(timeout)
        except subprocess.TimeoutExpired:
            self.stop()
            raise AssertionError(f"{self.name} did not end within {timeout} s\n{self._told()}") from None
        assert status == 0, f"{self.name}: SIPp says {status}\n{self._told()}"

    def stop(self) -> None:
        """End it whatever it is doing."""
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait()
        self._output.close()

    def freeze(self) -> None:
        """It stands still: its port is open, and nobody answers there."""
        self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """It goes on where it stood."""
        self._process.send_signal(signal.SIGCONT)

    def messages(self) -> str:
        """Every message it sent and received, as SIPp writes them down."""
        path = self.folder / f"{self.name}.messages"
        return path.read_text(errors="replace") if path.exists() else ""

    def _told(self) -> str:
        errors = self.folder / f"{self.name}.errors"
        told = errors.read_text(errors="replace")[-3000:] if errors.exists() else ""
        return f"{told}\n{self.messages()[-4000:]}"

    def __enter__(self) -> Sipp:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
