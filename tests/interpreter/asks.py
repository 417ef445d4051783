"""Ask for a fork that runs a program, pass signals on to it, and end as it ends.

What asks is started for every program, so that it imports only what is built in; `SOCKET`, `WORDS` and `PYTHON` are
written above it.
"""

import _socket
import array
import marshal
import os
import signal
import sys

PASSED_ON = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2)
UNDERSTOOD = {
    "PYTHONPATH",
    "PYTHONIOENCODING",
    "PYTHONDONTWRITEBYTECODE",
    "PYTHONUNBUFFERED",
    "PYTHONWARNINGS",
}

words = [*WORDS, *sys.argv[1:]]  # noqa: F821
other = {name for name in os.environ if name.startswith("PYTHON")} - UNDERSTOOD
if (
    not words
    or (words[0].startswith("-") and words[0] not in ("-c", "-m"))
    or other
    or os.environ.get("PYTHONWARNINGS", "ignore") != "ignore"
):
    os.execv(PYTHON, [PYTHON, *words])  # noqa: F821

pid, early = 0, []


def pass_on(number, _):
    if pid:
        os.kill(pid, number)
    else:
        early.append(number)


ignored = [number for number in PASSED_ON if signal.getsignal(number) == signal.SIG_IGN]
for number in PASSED_ON:
    if number not in ignored:
        signal.signal(number, pass_on)

connection = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM)
connection.connect(SOCKET)  # noqa: F821
asked = marshal.dumps((words, os.getcwd(), dict(os.environ), os.umask(0o22), [int(each) for each in ignored]))
streams = array.array("i", [0, 1, 2])
connection.sendmsg([len(asked).to_bytes(4, "big")], [(_socket.SOL_SOCKET, _socket.SCM_RIGHTS, streams)])
while asked:
    asked = asked[connection.send(asked) :]


def answer():
    # A status is sent at once, or not at all when who is asked has gone.
    while True:
        received = connection.recv(4)
        if not received:
            sys.exit("the interpreter that programs are forked from has gone")
        return int.from_bytes(received, "big", signed=True)


pid = answer()
for number in early:
    os.kill(pid, number)
status = answer()
if status < 0:
    if -status not in (signal.SIGKILL, signal.SIGSTOP):
        signal.signal(-status, signal.SIG_DFL)
    os.kill(os.getpid(), -status)
os._exit(status)
