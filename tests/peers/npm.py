"""Programs and packages of others that the tests run against."""

import fcntl
import json
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest

HERE = Path(__file__).parent


def needs(program: str, package: str) -> str:
    """Return where a program is; fail when it is not installed."""
    found = shutil.which(program)
    if found is None:
        pytest.fail(f"{program} is missing; run make test as root, or apt-get install {package}")
    return found


def run(*command: str) -> str:
    """Run a command to its end in this folder, and return what it printed; fail when it fails."""
    done = subprocess.run(command, cwd=HERE, capture_output=True, text=True, timeout=100, check=False)
    if done.returncode:
        pytest.fail(f"{shlex.join(command)}: {done.stdout}{done.stderr}")
    return done.stdout


def libmodbus_slave(folder: Path) -> Path:
    """Compile the slave in C, of Debian's libmodbus, into a folder."""
    compiler, config = needs("cc", "gcc"), needs("pkg-config", "pkg-config")
    flags = run(config, "--cflags", "--libs", "libmodbus").split()
    slave = folder / "libmodbus_slave"
    run(compiler, "-Wall", "-Werror", "-O1", "-o", str(slave), str(HERE / "libmodbus_slave.c"), *flags)
    return slave


def node() -> str:
    """Return where node is, the packages of package.json being installed. None of their scripts is run."""
    program, npm = needs("node", "nodejs"), needs("npm", "npm")
    wanted = json.loads((HERE / "package.json").read_text("utf-8"))["dependencies"]
    folder = HERE / "node_modules"
    with (HERE / "package.json").open("rb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # several test processes may come here at once
        if not all(_installed(folder / name) == version for name, version in wanted.items()):
            run(npm, "install", "--no-audit", "--no-fund", "--ignore-scripts")
    return program


def _installed(package: Path) -> str:
    try:
        return str(json.loads((package / "package.json").read_text("utf-8"))["version"])
    except FileNotFoundError:
        return ""
