import subprocess
import sys

SCRIPT = """
import os, sys
from slam.native_stdout import divert_native_stdout
def native(text): os.write(1, text)  # as C++ does, past sys.stdout
print("before")
native(b"native before\\n")
print("buffered until now", end="; ")
for _ in range({calls}):
    divert_native_stdout()
    native(b"native noise\\n")
    print("after é")
print("to stderr", file=sys.stderr)
"""


def run(calls: int, stdout: int) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [sys.executable, "-X", "utf8", "-c", SCRIPT.format(calls=calls)],
        stdout=stdout,
        stderr=subprocess.PIPE,
        check=True,
        timeout=60,
    )


def test_only_python_s_lines_are_left_of_a_diverted_stdout() -> None:
    done = run(3, subprocess.PIPE)
    lines = sorted(done.stdout.decode().splitlines())
    assert lines == [
        "after é",
        "after é",
        "before",
        "buffered until now; after é",
        "native before",
    ]
    assert done.stderr == b"to stderr\n"


def test_it_works_where_stdout_is_the_null_device() -> None:
    assert run(2, subprocess.DEVNULL).stderr == b"to stderr\n"
