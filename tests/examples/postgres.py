"""A PostgreSQL cluster of its own for one test, in a temporary folder, on a unix socket."""

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

_MISSING = "postgresql is missing; run make test as root, or apt-get install postgresql"


def _programs() -> Path:
    """Return the folder of Debian's newest initdb and pg_ctl."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[4]))
    if not found:
        pytest.fail(_MISSING)
    return found[-1].parent


@contextmanager
def running() -> Iterator[str]:
    """Run a cluster, and return how libpq connects to it. It refuses to run as root: then it is postgres'."""
    programs, root = _programs(), os.geteuid() == 0
    folder = Path(tempfile.mkdtemp(prefix="pg-"))  # a unix socket's path is short, and postgres may enter it
    if root:
        user = pwd.getpwnam("postgres")
        os.chown(folder, user.pw_uid, user.pw_gid)

    def run(program: str, *arguments: str) -> None:
        switch = ["runuser", "-u", "postgres", "--"] if root else []
        command = [*switch, str(programs / program), *arguments]
        done = subprocess.run(command, capture_output=True, text=True, timeout=100, check=False, cwd=folder)
        log = folder / "log"
        assert done.returncode == 0, done.stderr + (log.read_text("utf-8") if log.exists() else "")

    def control(verb: str, *arguments: str) -> None:
        run("pg_ctl", verb, "-w", "-D", str(folder / "data"), "-l", str(folder / "log"), *arguments)

    try:
        options = ("--auth", "trust", "--username", "postgres", "--encoding", "UTF8", "--no-sync")
        run("initdb", "-D", str(folder / "data"), *options)
        control("start", "-o", f"-k {folder} -c listen_addresses= -c fsync=off")
        try:
            yield f"host={folder} user=postgres dbname=postgres"
        finally:
            control("stop", "-m", "immediate")
    finally:
        shutil.rmtree(folder)
