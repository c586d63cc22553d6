"""`headgate aws images build` and `push`: the task's images, or MLflow's for SageMaker."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from headgate.cli import output
from headgate.cli.asking import UsageError
from headgate.cli.aws_command import Here, Telling, takes_aws
from headgate.cli.command import Command, application

if TYPE_CHECKING:
    from headgate.aws.images import Image

BuildArguments = Annotated[
    list[str],
    typer.Option(
        "--build-arg",
        metavar="NAME=VALUE",
        help="Hand a build argument to the Containerfiles, such as BASE_IMAGE. Repeatable.",
    ),
]
Serving = Annotated[
    bool,
    typer.Option(
        "--serving",
        help="MLflow's scoring image for SageMaker endpoints (linux/amd64) instead.",
    ),
]

app = application("Build and push the container images.")


@takes_aws
def build(
    here: Here,
    serving: Serving = False,
    build_arg: BuildArguments = [],  # noqa: B006 - Typer reads it, nobody changes it
) -> None:
    """Build the images on this machine only; `deploy` builds and pushes what is missing.

    \b
    Examples:
      headgate aws images build
      headgate aws images build --build-arg BASE_IMAGE=registry.example.com/python:3.11
    """
    from headgate.aws.builder import find_builder
    from headgate.aws.images import build as build_image

    builder = find_builder()
    for image in _wanted(here, serving, build_arg):
        with Telling(f"Building {image.repository}") as telling:
            name = build_image(image, builder, on_line=telling.on_line)
        output.data(name)


@takes_aws
def push(
    here: Here,
    serving: Serving = False,
    build_arg: BuildArguments = [],  # noqa: B006 - Typer reads it, nobody changes it
) -> None:
    """Build images and push them to ECR; prints each as repository@digest.

    With --serving it is the image that MLflow's SageMaker deployments look for: repository
    mlflow-pyfunc, the version of MLflow as its tag.

    \b
    Examples:
      headgate aws images push
      headgate aws images push --serving
    """
    from headgate.aws.builder import find_builder
    from headgate.aws.images import publish

    builder = find_builder()
    with Telling("Pushing") as telling:
        published = publish(
            _wanted(here, serving, build_arg),
            builder,
            here.aws,
            tell=telling.tell,
            on_line=telling.on_line,
        )
    for name in published.values():
        output.data(name)


def parsed(arguments: list[str]) -> dict[str, str]:
    """Build arguments as names and values. Raises `UsageError` for one without both."""
    found = {}
    for argument in arguments:
        name, equals, value = argument.partition("=")
        if not name or not equals:
            raise UsageError(f"--build-arg {argument}: write it as NAME=VALUE.")
        found[name] = value
    return found


def _wanted(here: Here, serving: bool, build_arg: list[str]) -> list[Image]:
    from headgate.aws.images import serving_image, task_images

    arguments = parsed(build_arg)
    if serving:
        return [serving_image(arguments)]
    return task_images(here.settings.architecture, arguments)


for command in (build, push):
    app.command(cls=Command)(command)
