"""What `make package` makes: installed, upgraded and taken away by dpkg in a real Debian.

Debian is a folder that debootstrap fills from a mirror; in it there is no network, and no systemd runs.
"""

import os
import platform
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from edge_agent import __version__
from tests.install.tree import copy

pytestmark = [pytest.mark.package, pytest.mark.timeout(900)]

ARCH = {"x86_64": "amd64", "aarch64": "arm64"}[platform.machine()]
RELEASE = "bookworm"
NAME = "smartpark-edge-agent"
_LOGIN = '"login.html", "zh_CN", session=None, path="/login", wrong="", code=False'


def run(*command: str, within: float = 600, cwd: Path | None = None) -> str:
    """Run a program; fail with what it said when it fails."""
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=within, check=False, cwd=cwd,
        env=os.environ | {"PYTHON": sys.executable},
    )  # fmt: skip
    assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
    return done.stdout + done.stderr


def made(tree: Path, *targets: str) -> Path:
    run("scripts/package.sh", *targets, cwd=tree)
    return tree / "dist"


class Debian:
    """A Debian in a folder."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def __call__(self, command: str) -> str:
        """Run a shell command in it, with no network; what it mounts is gone with it."""
        inside = (
            f"mount -t proc proc {self.root}/proc && mount --bind /dev {self.root}/dev && "
            f'exec chroot {self.root} env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin LANG=C.UTF-8 sh -c "$0"'
        )
        return run("unshare", "--net", "--mount", "sh", "-c", inside, command)

    def install(self, package: Path) -> str:
        shutil.copy(package, self.root / "root")
        return self(f"dpkg -i /root/{package.name}")


@pytest.fixture(scope="module")
def debian(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Debian]:
    for program in ("debootstrap", "lintian"):
        if shutil.which(program, path="/usr/sbin:/usr/bin") is None:
            pytest.fail(f"{program} is missing; run make package-test as root, or apt-get install {program}")
    root = tmp_path_factory.mktemp("debian") / "root"
    packages = "python3-venv,systemd,udev,procps"
    run("debootstrap", "--variant=minbase", f"--include={packages}", RELEASE, str(root))
    yield Debian(root)
    shutil.rmtree(root)


def test_a_package_comes_and_goes(tmp_path: Path, debian: Debian, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1767225600")
    target = f"{RELEASE}-{ARCH}"
    (first,) = made(copy(tmp_path / "first", __version__), target).glob("*.deb")
    (newer,) = made(copy(tmp_path / "newer", "9.0.0"), target).glob("*.deb")
    assert run("lintian", "--fail-on", "error,warning", str(first)).count("\nE:") == 0

    said = debian.install(first)
    assert "is installed, and not started yet" in said
    assert debian("edge-agent version").startswith(f"edge-agent {__version__},")
    assert "OK: 0 devices" in debian("edge-agent check")
    rendered = f"from edge_agent.console import page, site; print(page.Pages().render({_LOGIN}))"
    assert "密码" in debian(f"/opt/edge-agent/current/bin/python -c '{rendered}'"), "the operators' page"
    for name in ("man/man1/edge-agent.1.gz", f"doc/{NAME}/README.md", f"doc/{NAME}/docs/operate.md"):
        assert (debian.root / "usr/share" / name).is_file()
    assert debian("systemctl is-enabled edge-agent").strip() == "enabled"
    assert {"edge-agent", "dialout", "gpio"} == set(debian("id -nG edge-agent").split())
    debian("runuser -u edge-agent -- cat /etc/edge-agent/agent.toml")
    assert debian("dpkg --verify smartpark-edge-agent") == ""

    config = debian.root / "etc/edge-agent/agent.toml"
    config.write_text(config.read_text("utf-8") + "# mine\n", "utf-8")
    (debian.root / "var/lib/edge-agent/outbox.db").write_text("kept")
    assert f"9.0.0 takes the place of {__version__}" in debian.install(newer)
    assert debian("edge-agent version").startswith("edge-agent 9.0.0,")
    assert config.read_text("utf-8").endswith("# mine\n")

    debian(f"dpkg --remove {NAME}")
    assert not (debian.root / "opt/edge-agent").exists()
    assert config.exists()
    assert (debian.root / "var/lib/edge-agent/outbox.db").read_text() == "kept"
    debian(f"dpkg --purge {NAME}")
    left = [
        path for path in debian.root.rglob("*edge-agent*") if path.parent.name not in {"root", "run"}
    ]  # but for the packages themselves, and what a restart takes
    assert left == []


def test_a_bundle_is_the_same_each_time_and_fits_its_board(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1767225600")
    tree = copy(tmp_path / "tree", __version__)
    once = {file: file.read_bytes() for file in made(tree, "bookworm-arm64").iterdir()}
    assert {file.suffix for file in once} == {".deb", ".gz"}
    again = made(tree, "bookworm-arm64")
    assert [file.name for file in again.iterdir() if file.read_bytes() != once[file]] == []
    with tarfile.open(next(again.glob("*.tar.gz"))) as archive:
        names = [Path(name).name for name in archive.getnames()]
    wheels = [name for name in names if name.endswith(".whl")]
    assert {"install.sh", "install.md", "LICENSE"} <= set(names)
    assert any("aarch64" in name for name in wheels)
    assert [name for name in wheels if not name.endswith("-any.whl") and "aarch64" not in name] == []
