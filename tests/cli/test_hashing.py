"""``mediaha hash-secret``: the secret comes from a terminal or a pipe, and what is printed fits into a site file."""

import os
import pty
import subprocess
import sys
import tomllib

from mediaha.sip.auth.digest import HashedSecret
from tests.cli.test_commands import mediaha


def test_a_piped_secret_becomes_a_table_of_the_site_file():
    done = mediaha("hash-secret", "anna@Example.test", input="sesame\n")
    assert done.returncode == 0, done.stderr
    (table,) = tomllib.loads(done.stdout)["users"]
    hashed = HashedSecret.of("anna", "example.test", "sesame")
    assert table == {
        "name": "anna", "domain": "Example.test", "realm": "example.test", "sha256": hashed.sha256, "md5": hashed.md5,
    }  # fmt: skip


def test_one_hash_alone_in_a_realm_of_its_own():
    done = mediaha("hash-secret", "anna@example.test", "--realm", "them", "--no-sha256", input="sesame")
    (table,) = tomllib.loads(done.stdout)["users"]
    assert table["md5"] == HashedSecret.of("anna", "them", "sesame").md5
    assert "sha256" not in table


def test_what_cannot_be_hashed_is_said_in_a_sentence():
    for words, told in (
        (("anna",), "write NAME@DOMAIN"),
        (("anna@example.test",), "the secret is empty"),
        (("anna@example.test", "--no-sha256", "--no-md5"), "nothing to make"),
    ):
        done = mediaha("hash-secret", *words, input="\n")
        assert done.returncode == 1
        assert told in done.stderr
        assert "Traceback" not in done.stderr


def test_on_a_terminal_the_secret_is_asked_for_twice_and_not_echoed():
    mine, its = pty.openpty()
    command = [sys.executable, "-m", "mediaha", "hash-secret", "anna@example.test"]
    asked = subprocess.Popen(command, stdin=its, stdout=subprocess.PIPE, stderr=its, start_new_session=True)
    os.close(its)
    shown = b""
    for prompt in (b"Secret of anna@example.test: ", b"The same again: "):
        while not shown.endswith(prompt):
            shown += os.read(mine, 1024)
        os.write(mine, b"sesame\n")
    printed, _ = asked.communicate(timeout=30)
    os.close(mine)
    assert tomllib.loads(printed.decode())["users"][0]["md5"] == HashedSecret.of("anna", "example.test", "sesame").md5
    assert b"sesame" not in shown
