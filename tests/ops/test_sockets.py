"""Where the control socket is when nobody says where."""

import socket

import pytest

from mediaha.ops import sockets


@pytest.fixture
def places(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / "run"))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_runtime_directory_of_the_user_comes_first(places):
    (places / "run").mkdir()
    path = sockets.path_to_serve()
    assert path == places / "run" / "mediaha" / "control.sock"
    assert path.parent.stat().st_mode & 0o077 == 0


def test_the_order_is_the_same_for_those_who_ask(places):
    first, system, here = sockets.control_paths({"XDG_RUNTIME_DIR": "/run/user/7"}, places)
    assert str(first) == "/run/user/7/mediaha/control.sock"
    assert str(system) == "/run/mediaha/control.sock"
    assert here == places / "mediaha-control.sock"


def test_one_who_asks_finds_the_socket_that_is_there(places):
    (places / "run" / "mediaha").mkdir(parents=True)
    where = places / "run" / "mediaha" / "control.sock"
    with socket.socket(socket.AF_UNIX) as served:
        served.bind(str(where))
        assert sockets.path_to_ask() == where
