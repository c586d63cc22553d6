"""`python -m headgate.aws.stacks`: what `cdk` runs to get the templates."""

from __future__ import annotations

import os
import sys

from headgate.aws.handover import REGION_VARIABLE
from headgate.aws.node import JSII_VARIABLE, find_node
from headgate.errors import HeadgateError
from headgate.settings.aws_loading import load_aws_settings


def main() -> int:
    """Write the templates where the `cdk` CLI wants them, or say in a sentence why not."""
    try:
        # Before the CDK is imported, which starts Node at once.
        os.environ[JSII_VARIABLE] = str(find_node().path)
        # A region that a flag of `headgate aws` named; else as everywhere.
        settings = load_aws_settings({"region": os.environ.get(REGION_VARIABLE)})
        from headgate.aws.stacks.application import synthesize

        synthesize(settings)
    except HeadgateError as error:
        hint = f"\n\n{error.hint}" if error.hint else ""
        print(f"error: {error}{hint}", file=sys.stderr)  # noqa: T201 - the CLI shows it
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
