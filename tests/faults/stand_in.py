"""A stand-in for MLflow: quick to start, and as ill-behaved as its arguments say.

`python -S stand_in.py SOCKET [grandchild] [stubborn] [slow] [ends]`. `grandchild` leaves a
process in a session of its own and prints its id, `stubborn` ignores SIGTERM, `slow` never
answers, `ends` fails at once.
"""

import os
import signal
import socket
import sys
import time

path, *wishes = sys.argv[1:]
if "ends" in wishes:
    print("Traceback (most recent call last):", flush=True)
    print("stand_in.SettingError: no such thing as a port", file=sys.stderr, flush=True)
    print("  and more", flush=True)
    sys.exit(3)
if "grandchild" in wishes:
    if (grandchild := os.fork()) == 0:
        os.setsid()
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        while True:
            time.sleep(60)
    print(f"grandchild {grandchild}", flush=True)
if "stubborn" in wishes:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
if "slow" in wishes:
    while True:
        time.sleep(60)
with socket.socket(socket.AF_UNIX) as listener:
    listener.bind(path)
    listener.listen()
    while True:
        connection, _ = listener.accept()
        with connection:
            connection.recv(1000)
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nOK")
