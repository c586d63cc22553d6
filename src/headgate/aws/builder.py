"""Docker, Finch or buildah: which one is here, and the argument lists that it understands.

The lists are pure and are tested as lists. `platform` is always named, as an image built on a
laptop must run where Fargate runs it. A password goes through standard input, never through an
argument. Start at `find_builder`.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from headgate.errors import HeadgateError

PROGRAMS = ("docker", "finch", "buildah")
# The variable by which the CDK itself is told of another program than docker.
PROGRAM_VARIABLE = "CDK_DOCKER"

BUILDER_MEND = "Install Docker, Finch or buildah   (Debian: apt-get install buildah)"
_STARTING = {
    "docker": "Start Docker Desktop, or: sudo systemctl start docker",
    "finch": "finch vm start",
    "buildah": "buildah info shows what is wrong.",
}


@dataclass(frozen=True, slots=True)
class Build:
    """One image to build: from which folder, under which name, for which machines."""

    folder: Path
    tag: str
    platform: str
    arguments: Mapping[str, str] = field(default_factory=dict)
    file: str = "Containerfile"


@dataclass(frozen=True, slots=True)
class Builder:
    """A program that builds and pushes images."""

    program: str

    @property
    def kind(self) -> str:
        """`docker`, `finch` or `buildah`; whatever else takes docker's arguments."""
        name = Path(self.program).name.removesuffix(".exe")
        return name if name in PROGRAMS else "docker"

    def version(self) -> list[str]:
        """Ends well only if images can be built now, the daemon included."""
        if self.kind == "buildah":
            return [self.program, "info"]
        return [self.program, "info", "--format", "{{.ServerVersion}}"]

    def build(self, build: Build) -> list[str]:
        """Build an image."""
        command = [self.program, "build", "--platform", build.platform, "--tag", build.tag]
        if self.kind == "buildah":
            command += ["--format", "docker"]
        for name, value in sorted(build.arguments.items()):
            command += ["--build-arg", f"{name}={value}"]
        return [*command, "--file", str(build.folder / build.file), str(build.folder)]

    def login(self, registry: str) -> list[str]:
        """Sign in to ECR; the password is read from standard input."""
        return [self.program, "login", "--username", "AWS", "--password-stdin", registry]

    def logout(self, registry: str) -> list[str]:
        """Forget the password again."""
        return [self.program, "logout", registry]

    def tag(self, tag: str, name: str) -> list[str]:
        """Give an image a second name."""
        return [self.program, "tag", tag, name]

    def push(self, name: str) -> list[str]:
        """Push an image under its name."""
        return [self.program, "push", name]

    def environment(self, base: Mapping[str, str] | None = None) -> dict[str, str]:
        """What the program runs with."""
        environment = dict(os.environ if base is None else base)
        # One image, not an index of it and its provenance: what is pushed is what was built.
        environment.setdefault("BUILDX_NO_DEFAULT_ATTESTATIONS", "1")
        if self.kind == "buildah":
            # Works in containers and without user namespaces as well.
            environment.setdefault("BUILDAH_ISOLATION", "chroot")
        return environment


def find_builder() -> Builder:
    """The builder that `CDK_DOCKER` names, else the first that is installed and works.

    Raises `HeadgateError` with what to install or start.
    """
    named = os.environ.get(PROGRAM_VARIABLE)
    installed = [name for name in ([named] if named else PROGRAMS) if shutil.which(name)]
    for name in installed:
        builder = Builder(name)
        if _works(builder):
            return builder
    if installed:
        kind = Builder(installed[0]).kind
        raise HeadgateError(
            f"{installed[0]} is installed, but cannot build images now.", hint=_STARTING[kind]
        )
    if named:
        raise HeadgateError(
            f"{PROGRAM_VARIABLE} names {named!r}, which is not installed.", hint=BUILDER_MEND
        )
    raise HeadgateError("There is no image builder on this machine.", hint=BUILDER_MEND)


def _works(builder: Builder) -> bool:
    try:
        done = subprocess.run(
            builder.version(),
            env=builder.environment(),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=30,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0
