"""What a gateway process really loads: import-linter sees our imports, not what they drag in."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from tests.harness.server import clean_environment

FORBIDDEN = {"mlflow", "flask", "boto3", "botocore", "aws_cdk", "sagemaker", "pandas", "numpy"}


@pytest.mark.parametrize(
    "module",
    [
        "headgate.gateway.app",
        "headgate.gateway.compose",
        "headgate.upstream",
        "headgate.database",
        "headgate.cli",
    ],
)
def test_nothing_heavy_is_loaded_with_it(module: str) -> None:
    code = f"import json, sys, {module}; print(json.dumps(sorted(sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=clean_environment(),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    loaded = {name.partition(".")[0] for name in json.loads(done.stdout)}
    assert loaded & FORBIDDEN == set()
