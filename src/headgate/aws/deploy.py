"""Making or updating it all: checks, a plan with its price, images, `cdk deploy`.

The questions are the command's (`headgate.cli.aws`); this module only does. Start at
`Deploying`.
"""

from __future__ import annotations

import dataclasses
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from headgate.aws import images
from headgate.aws.builder import find_builder
from headgate.aws.cdk import Cdk, find_cdk
from headgate.aws.checks import Surroundings
from headgate.aws.deployment import Deployment
from headgate.aws.handover import Handover
from headgate.aws.maintenance import maintained
from headgate.aws.node import find_node
from headgate.aws.running import OnLine
from headgate.aws.waiting import Patience

Tell = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Deploying:
    """A deployment whose checks passed: where to, what, and whom to tell."""

    around: Surroundings
    stacks: Sequence[str]
    config: Path | None
    tell: Tell
    on_line: OnLine

    def bootstrap(self) -> None:
        """Make what the CDK needs in this account and region."""
        aws = self.around.aws
        with tempfile.TemporaryDirectory(prefix="headgate-assembly-") as assembly:
            cdk = self._cdk()
            command = cdk.bootstrap(
                str(self.around.found_account), aws.region, assembly=Path(assembly)
            )
            self._run(cdk, command, f"cdk bootstrap in {aws.region}")

    def publish(self, build_arguments: Mapping[str, str]) -> Handover:
        """Build and push the task's images; what the application is to be told."""
        published = images.publish(
            images.task_images(self.around.settings.architecture, build_arguments),
            self.around.builder or find_builder(),
            self.around.aws,
            tell=self.tell,
            on_line=self.on_line,
        )
        return self.around.handover(published)

    def deploy(self, handover: Handover) -> Deployment:
        """Run `cdk deploy`; what stands afterwards."""
        with tempfile.TemporaryDirectory(prefix="headgate-assembly-") as assembly:
            cdk = self._cdk()
            command = cdk.deploy(self.stacks, handover, assembly=Path(assembly))
            self._run(cdk, command, "cdk deploy")
        return Deployment(self.around.aws)

    def deploy_in_maintenance(self, handover: Handover, patience: Patience) -> Deployment:
        """Deploy while no task runs, so that any migration may; what stands afterwards."""
        with maintained(
            self.around.aws,
            tasks=self.around.settings.min_tasks,
            tell=self.tell,
            patience=patience,
        ):
            return self.deploy(dataclasses.replace(handover, maintenance=True))

    def diff(self, build_arguments: Mapping[str, str]) -> None:
        """Run `cdk diff`, whose lines go to `on_line`. Builds nothing."""
        wanted = images.task_images(self.around.settings.architecture, build_arguments)
        handover = self.around.handover(images.known(wanted, self.around.aws))
        with tempfile.TemporaryDirectory(prefix="headgate-assembly-") as assembly:
            cdk = self._cdk()
            self._run(cdk, cdk.diff(self.stacks, handover, assembly=Path(assembly)), "cdk diff")

    def _cdk(self) -> Cdk:
        node = self.around.node or find_node()
        cdk = find_cdk(node, install=True, on_line=self.on_line)
        assert cdk is not None  # as it may install
        return cdk

    def _run(self, cdk: Cdk, command: Sequence[str], what: str) -> None:
        cdk.run(command, what=what, aws=self.around.aws, config=self.config, on_line=self.on_line)
