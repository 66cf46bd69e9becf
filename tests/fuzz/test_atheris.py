"""Every property is fuzzed by atheris, guided by what of the code was reached."""

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

from tests.fuzz.properties import all_properties

ROOT = Path(__file__).parents[2]
SECONDS = 60

pytestmark = [pytest.mark.soak, pytest.mark.timeout(SECONDS * 4)]


@pytest.mark.parametrize("name", all_properties())
def test_nothing_is_found(name: str, tmp_path: Path) -> None:
    if importlib.util.find_spec("atheris") is None:
        pytest.skip("atheris is missing: pip install atheris, where there is one for this Python and machine")
    limits = ("-max_len=2048", "-timeout=10", "-rss_limit_mb=1024", f"-max_total_time={SECONDS}")
    done = subprocess.run(
        [sys.executable, "-m", "tests.fuzz.target", name, f"-artifact_prefix={tmp_path}/", *limits],
        cwd=ROOT, capture_output=True, text=True, timeout=SECONDS * 3, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-4000:]
