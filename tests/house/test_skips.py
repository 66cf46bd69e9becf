"""A skipped test fails where CI is set, and only there (tests/conftest.py)."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

CONFTEST = Path(__file__).parents[1] / "conftest.py"
ONE = "import pytest\ndef test_well(): pass\ndef test_skipped(): pytest.skip('no time')\n"
WHOLE = "import pytest\npytest.skip('not here', allow_module_level=True)\n"
XFAIL = "import pytest\n@pytest.mark.xfail\ndef test_known(): assert False\n"


@pytest.mark.parametrize(
    ("text", "ci", "code"),
    [
        (ONE, "true", pytest.ExitCode.TESTS_FAILED),
        (ONE, "", pytest.ExitCode.OK),
        (WHOLE, "true", pytest.ExitCode.INTERRUPTED),
        (WHOLE, "", pytest.ExitCode.NO_TESTS_COLLECTED),
        (XFAIL, "true", pytest.ExitCode.OK),
    ],
)
def test_a_skip(text: str, ci: str, code: pytest.ExitCode, tmp_path: Path) -> None:
    shutil.copy(CONFTEST, tmp_path)
    (tmp_path / "test_one.py").write_text(text, "utf-8")
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", str(tmp_path)],
        cwd=tmp_path,
        env=os.environ | {"CI": ci},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == code, done.stdout
