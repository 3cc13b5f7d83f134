"""Requests as bytes, for heads that no client library would send."""
import re
import socket
import time


def exchange(port, *pieces, timeout=5, pause=0.0):
    """Sends the pieces and reads until the server closes, or for `timeout` without a byte; gives what came."""
    with socket.create_connection(("127.0.0.1", port), timeout=timeout) as connection:
        received = b""
        try:
            for piece in pieces:
                connection.sendall(piece)
                time.sleep(pause)
            while data := connection.recv(65536):
                received += data
        except OSError:
            pass
        return received


def statuses(answer):
    """The status of every response in the bytes."""
    return [int(status) for status in re.findall(rb"HTTP/1\.[01] (\d{3}) ", answer)]
