"""The task's images and the serving image: staged into a folder, built, pushed, by digest.

A folder `images/<name>/` is copied together with this very Headgate (`site/`: package and
metadata) and its requirements, so that an installed Headgate builds images of itself. The tag
is a hash of all that, the platform included: what ECR has already is not built again. Start at
`publish`.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import platform
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from packaging.requirements import Requirement

import headgate
from headgate.aws import names
from headgate.aws.builder import Build, Builder
from headgate.aws.registry import ensure_repository, pushed_digest, signed_in
from headgate.aws.running import OnLine, run
from headgate.aws.session import Aws, AwsError

FOLDER = Path(headgate.__file__).parent / "aws" / "images"
SERVING = "serving"
PLATFORMS = {"arm64": "linux/arm64", "x86_64": "linux/amd64"}
# What the containers need beyond Headgate's own dependencies: of the extra `aws`, which is what
# deploying needs, only what talks to AWS.
EXTRAS = ("mysql", "postgres")
OF_AWS = ("boto3",)


@dataclass(frozen=True, slots=True)
class Image:
    """An image to make: its folder's name, its repository, its machines, its build arguments."""

    name: str
    repository: str
    platform: str
    tag: str | None = None
    arguments: Mapping[str, str] = field(default_factory=dict)


Tell = Callable[[str], None]


def task_images(architecture: str, arguments: Mapping[str, str]) -> list[Image]:
    """The images of one task."""
    return [
        Image(name, names.repository(name), PLATFORMS[architecture], arguments=arguments)
        for name in names.TASK_IMAGES
    ]


def serving_image(arguments: Mapping[str, str]) -> Image:
    """MLflow's scoring image, where its `sagemaker` deployments look for it."""
    version = importlib.metadata.version("mlflow")
    own = {
        "MLFLOW_VERSION": version,
        # Models are pickled: they load in the Python that wrote them.
        "PYTHON_VERSION": ".".join(platform.python_version_tuple()[:2]),
    }
    return Image(SERVING, names.SERVING_REPOSITORY, "linux/amd64", version, {**own, **arguments})


def build(image: Image, builder: Builder, *, on_line: OnLine) -> str:
    """Build an image on this machine only; its local name."""
    with staged(image) as folder:
        return _build(image, builder, folder, on_line)


def publish(
    images: list[Image], builder: Builder, aws: Aws, *, tell: Tell, on_line: OnLine
) -> dict[str, str]:
    """Build and push what ECR does not have yet; `repository@sha256:…` of each image."""
    published = known(images, aws)
    for image in images:
        if image.name in published:
            tell(f"{image.repository}: unchanged ({published[image.name].partition('@')[2][:19]}…)")
    missing = [image for image in images if image.name not in published]
    if missing:
        with signed_in(aws, builder) as registry:
            for image in missing:
                published[image.name] = _publish(
                    image, builder, aws, registry.host, tell=tell, on_line=on_line
                )
    return published


def known(images: list[Image], aws: Aws) -> dict[str, str]:
    """`repository@sha256:…` of those that ECR has exactly as they would be built now."""
    found: dict[str, str] = {}
    for image in images:
        if image.tag is not None:
            continue  # a tag that names a version may have been moved by others
        with staged(image) as folder:
            digest = pushed_digest(aws, image.repository, _tag(image, folder))
        if digest is not None:
            found[image.name] = f"{image.repository}@{digest}"
    return found


def _publish(
    image: Image, builder: Builder, aws: Aws, host: str, *, tell: Tell, on_line: OnLine
) -> str:
    ensure_repository(aws, image.repository)
    tell(f"{image.repository}: building for {image.platform}")
    with staged(image) as folder:
        tag = image.tag or _tag(image, folder)
        local = _build(image, builder, folder, on_line)
    remote = f"{host}/{image.repository}:{tag}"
    environment = builder.environment()
    what = f"Pushing {image.repository}"
    run(builder.tag(local, remote), what=what, environment=environment, on_line=on_line)
    tell(f"{image.repository}: pushing {tag}")
    run(builder.push(remote), what=what, environment=environment, on_line=on_line)
    digest = pushed_digest(aws, image.repository, tag)
    if digest is None:
        raise AwsError(f"{remote} was pushed, but ECR does not have it.")
    return f"{image.repository}@{digest}"


def _build(image: Image, builder: Builder, folder: Path, on_line: OnLine) -> str:
    local = f"{image.repository}:{image.tag or _tag(image, folder)}"
    command = builder.build(Build(folder, local, image.platform, image.arguments))
    what = f"Building {image.repository}"
    run(command, what=what, environment=builder.environment(), on_line=on_line)
    return local


@contextmanager
def staged(image: Image) -> Iterator[Path]:
    """A temporary folder with everything that the build of an image copies from."""
    source = FOLDER / image.name
    if not (source / "Containerfile").exists():
        raise AwsError(f"This Headgate has no image {image.name!r}: {source} is missing.")
    with tempfile.TemporaryDirectory(prefix=f"headgate-{image.name}-") as temporary:
        folder = Path(temporary) / image.name
        shutil.copytree(source, folder, ignore=shutil.ignore_patterns("__pycache__"))
        if image.name != SERVING:
            _stage_headgate(folder)
        yield folder


def _stage_headgate(folder: Path) -> None:
    """This Headgate as it runs here, and what to install for it."""
    site = folder / "site"
    package = Path(headgate.__file__).parent
    shutil.copytree(
        package,
        site / "headgate",
        ignore=shutil.ignore_patterns("__pycache__", "*.pyc", "images"),
    )
    try:
        distribution = importlib.metadata.distribution("headgate")
    except importlib.metadata.PackageNotFoundError:
        raise AwsError(
            "Headgate is not installed as a package, so it cannot be put into an image.",
            hint="pip install --editable '.[aws]'",
        ) from None
    metadata = site / f"headgate-{headgate.__version__}.dist-info"
    metadata.mkdir()
    # The entry points are what MLflow finds our application by.
    for name in ("METADATA", "entry_points.txt"):
        (metadata / name).write_text(distribution.read_text(name) or "", encoding="utf-8")
    lines = "".join(f"{line}\n" for line in requirements(distribution.requires or []))
    (folder / "requirements.txt").write_text(lines, encoding="utf-8")


def requirements(declared: list[str]) -> list[str]:
    """The requirements of a server on Linux: Headgate's own and those of `EXTRAS`.

    MLflow is the one that is installed here, since that one was tried here.
    """
    chosen = set()
    for line in declared:
        requirement = Requirement(line)
        marker, requirement.marker = requirement.marker, None
        extras = ("", *EXTRAS, *(["aws"] if requirement.name in OF_AWS else []))
        if marker is None or any(marker.evaluate({**_LINUX, "extra": extra}) for extra in extras):
            chosen.add(str(requirement))
    return [*sorted(chosen), f"mlflow=={importlib.metadata.version('mlflow')}"]


_LINUX = {"sys_platform": "linux", "platform_system": "Linux", "os_name": "posix"}


def _tag(image: Image, folder: Path) -> str:
    """A name for exactly this content, platform and arguments."""
    digest = hashlib.sha256()
    digest.update(repr((image.platform, sorted(image.arguments.items()))).encode())
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            digest.update(str(path.relative_to(folder)).encode() + b"\0")
            digest.update(hashlib.sha256(path.read_bytes()).digest())
    return f"{headgate.__version__}-{digest.hexdigest()[:16]}"
