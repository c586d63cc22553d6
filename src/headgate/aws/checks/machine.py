"""What this machine must have: Node, the `cdk` command line, an image builder, disk space."""

from __future__ import annotations

import platform
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from headgate.aws.builder import find_builder
from headgate.aws.cdk import VERSION, find_cdk
from headgate.aws.checks.surroundings import Surroundings
from headgate.aws.node import find_node
from headgate.errors import HeadgateError
from headgate.finding import Finding

# The three images, their layers and what building them leaves behind.
_LITTLE_DISK = 15_000_000_000
_NO_DISK = 6_000_000_000
_ARM = ("arm64", "aarch64")
_EMULATOR = Path("/proc/sys/fs/binfmt_misc")
# Where Docker and buildah keep layers, else where builds are staged.
_STORES = (
    Path("/var/lib/docker"),
    Path("/var/lib/containers"),
    Path(tempfile.gettempdir()),
)


def node(around: Surroundings) -> Iterator[Finding]:
    """Node and the command line that runs on it."""
    try:
        around.node = find_node()
        yield Finding("node", "ok", f"{around.node.version} at {around.node.path}")
        cdk = find_cdk(around.node, install=False)
        if cdk is None:
            yield Finding("cdk", "ok", f"aws-cdk {VERSION} will be installed by npm, once")
        else:
            yield Finding("cdk", "ok", f"{cdk.version}")
    except HeadgateError as error:
        yield Finding("node", "wrong", str(error), error.hint)


def image_builder(around: Surroundings) -> Iterator[Finding]:
    """Docker, Finch or buildah, and whether it can build for the wanted machines."""
    if not around.builds_images:
        return
    try:
        around.builder = find_builder()
    except HeadgateError as error:
        yield Finding("builder", "wrong", str(error), error.hint)
        return
    program = around.builder.program
    if _native(around.settings.architecture) or _emulated(around.settings.architecture):
        yield Finding("builder", "ok", f"{program}, building for {around.settings.architecture}")
        return
    machine = platform.machine()
    own = "arm64" if machine in _ARM else "x86_64"
    wanted = around.settings.architecture
    yield Finding(
        "builder",
        "warning",
        f"{program} builds for {wanted} on {machine}, and no emulator is registered here",
        f'apt-get install qemu-user-static, or set architecture = "{own}" under [aws]',
    )


def _native(architecture: str) -> bool:
    return (architecture in _ARM) == (platform.machine() in _ARM)


def _emulated(architecture: str) -> bool:
    """Docker Desktop and Finch bring an emulator; Linux needs one registered."""
    if platform.system() != "Linux":
        return True
    name = "qemu-aarch64" if architecture in _ARM else "qemu-x86_64"
    return (_EMULATOR / name).exists()


def disk(around: Surroundings) -> Iterator[Finding]:
    """Room for layers."""
    if not around.builds_images:
        return
    folder = next(path for path in _STORES if path.exists())
    free = shutil.disk_usage(folder).free
    text = f"{free / 1e9:.0f} GB free at {folder}"
    mend = "Free some space, for example: docker system prune"
    if free < _NO_DISK:
        yield Finding("disk", "wrong", f"{text}; the images need {_NO_DISK / 1e9:.0f}", mend)
    elif free < _LITTLE_DISK:
        yield Finding("disk", "warning", text, mend)
    else:
        yield Finding("disk", "ok", text)
