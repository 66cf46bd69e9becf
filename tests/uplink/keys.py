"""Certificates for one test run: authorities, brokers and gateways, some of them wrong in one thing."""

import shutil
import subprocess
from pathlib import Path

import pytest

_CURVE = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")
BROKER_NAME = "broker.park.example"


def openssl(folder: Path, *arguments: str, offset: str = "+0") -> None:
    """Run it in a folder, by a clock that is wrong by ``offset``."""
    command = ["faketime", "-f", offset, "openssl", *arguments]
    subprocess.run(command, cwd=folder, check=True, capture_output=True, timeout=60)


def authority(folder: Path, name: str) -> None:
    """Make NAME.key and NAME.pem, which can sign."""
    made = ("-keyout", f"{name}.key", "-out", f"{name}.pem", "-subj", f"/CN=test {name}")
    openssl(folder, "req", *_CURVE, "-x509", "-days", "2", *made)


def signed(
    folder: Path, name: str, by: str = "ca", offset: str = "+0", subject: str = "IP:127.0.0.1"
) -> None:
    """Make NAME.key and NAME.pem, for two days, signed by a clock that is wrong by ``offset``."""
    (folder / f"{name}.ext").write_text(f"subjectAltName={subject}\n")
    openssl(folder, "req", *_CURVE, "-keyout", f"{name}.key", "-out", f"{name}.csr", "-subj", f"/CN={name}")
    openssl(
        folder, "x509", "-req", "-in", f"{name}.csr", "-CA", f"{by}.pem", "-CAkey", f"{by}.key",
        "-CAcreateserial", "-days", "2", "-out", f"{name}.pem", "-extfile", f"{name}.ext", offset=offset,
    )  # fmt: skip


def made(folder: Path) -> Path:
    """Fill a folder: ``ca``, ``other`` (of somebody else), ``server``, ``named``, ``gw-01`` and so on."""
    for program in ("openssl", "faketime"):
        if shutil.which(program) is None:
            pytest.fail(f"{program} is missing; run make test as root, or apt-get install {program}")
    for name in ("ca", "other"):
        authority(folder, name)
    for name in ("server", "gw-01", "gw-02"):
        signed(folder, name)
    signed(folder, "named", subject=f"DNS:{BROKER_NAME}")
    signed(folder, "stranger", by="other")
    signed(folder, "early", offset="+1d")
    signed(folder, "late", offset="-5d")
    openssl(folder, "ec", "-in", "gw-01.key", "-aes256", "-passout", "pass:secret", "-out", "locked.key")
    return folder
