"""The port of a local run: no two runs get the same one, although nobody listens on it for the first seconds."""

import socket

from finetune_cli.local.ports import reserved_port


def any_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def test_a_reserved_port_is_not_given_twice_and_is_free_afterwards() -> None:
    wanted = any_port()
    with reserved_port(wanted) as first, reserved_port(wanted) as second:
        assert first == wanted != second
    with reserved_port(wanted) as again:
        assert again == wanted


def test_a_port_that_somebody_listens_on_is_passed_over() -> None:
    with socket.socket() as listener:
        listener.bind(("0.0.0.0", 0))
        listener.listen()
        taken = listener.getsockname()[1]
        with reserved_port(taken) as port:
            assert port != taken
