"""`headgate aws deploy`, `diff` and `destroy`, and the group that all commands for AWS are in."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from headgate.cli import aws_images, aws_look, output
from headgate.cli.aws_command import Here, Telling, agreed, one_of, takes_aws, typed_exactly
from headgate.cli.command import Command, application
from headgate.errors import HeadgateError

if TYPE_CHECKING:
    from headgate.aws.checks import Surroundings
    from headgate.aws.deployment import Deployment
    from headgate.finding import Finding
    from headgate.settings.aws import AwsSettings

Stacks = Annotated[
    list[str],
    typer.Option(
        "--stack",
        metavar="NAME",
        help="MLflowVpcStack, HttpGatewayStack or SageMakerStudioUserStack. Repeatable. "
        "Default: all.",
    ),
]
Yes = Annotated[bool, typer.Option("--yes", help="Do it without asking.")]

app = application("Run Headgate on AWS: Fargate, Aurora, S3, an HTTP API, SageMaker Studio.")


@takes_aws
def deploy(
    here: Here,
    stack: Stacks = [],  # noqa: B006 - Typer reads it, nobody changes it
    yes: Yes = False,
    maintenance: Annotated[
        bool,
        typer.Option(
            "--maintenance",
            help="Stop every task and take a snapshot first, for a migration that tasks of the "
            "version before could not live with.",
        ),
    ] = False,
    build_arg: aws_images.BuildArguments = [],  # noqa: B006 - Typer reads it, nobody changes it
) -> None:
    """Make or update the three stacks. Checks first, says what it costs a month, and asks.

    Nothing is changed before the question. Settings are the [aws] table of headgate.toml.

    \b
    Examples:
      headgate aws deploy
      headgate aws deploy --stack MLflowVpcStack --stack HttpGatewayStack
    """
    from headgate.aws.deploy import Deploying
    from headgate.aws.waiting import Patience

    stacks = _chosen(here.settings, stack)
    around = _surroundings(here, stacks)
    _checked(around)
    output.say("")
    for line in _what_and_how_much(here, around):
        output.say(line)
    question = "Bootstrap the CDK here and deploy" if around.needs_bootstrap else "Deploy"
    if maintenance:
        output.say("\nMLflow will be away meanwhile: every task is stopped first.")
    if not agreed(f"\n{question} this?", yes=yes):
        output.say("Nothing was changed.")
        raise typer.Exit(1)
    arguments = aws_images.parsed(build_arg)
    with Telling("Deploying") as telling:
        deploying = Deploying(around, stacks, here.config, telling.tell, telling.on_line)
        if around.needs_bootstrap:
            telling.tell("Bootstrapping the CDK")
            deploying.bootstrap()
        handover = deploying.publish(arguments)
        telling.tell(f"Deploying {', '.join(stacks)}; the first time takes some 20 minutes")
        if maintenance:
            deployment = deploying.deploy_in_maintenance(handover, Patience())
        else:
            deployment = deploying.deploy(handover)
    _welcome(deployment)


@takes_aws
def diff(
    here: Here,
    stack: Stacks = [],  # noqa: B006 - Typer reads it, nobody changes it
) -> None:
    """Show what `deploy` would change. Builds and changes nothing.

    \b
    Example:
      headgate aws diff
    """
    from headgate.aws.checks import check
    from headgate.aws.deploy import Deploying

    stacks = _chosen(here.settings, stack)
    around = _surroundings(here, stacks)
    around.builds_images = False
    # What is wrong for a deployment may still be compared; what was found is handed over.
    for finding in check(around):
        if finding.state == "wrong":
            output.warn(f"{finding.about}: {finding.text}")
    Deploying(around, stacks, here.config, output.say, output.data).diff({})


@takes_aws
def destroy(
    here: Here,
    stack: Stacks = [],  # noqa: B006 - Typer reads it, nobody changes it
    yes: Yes = False,
    delete_data: Annotated[
        bool,
        typer.Option("--delete-data", help="Delete the data too; asks for the stack's name."),
    ] = False,
) -> None:
    """Delete the three stacks. Data stays: the bucket and a last database snapshot.

    Studio goes first: apps, spaces, the user, then the domain with its home folders, if we made
    it. One app can take 20 minutes. After an interruption call it again.

    \b
    Examples:
      headgate aws destroy
      headgate aws destroy --delete-data   data too; asks for the stack's name
    """
    from headgate.aws import destroy as destroying
    from headgate.aws.waiting import Patience

    plan = destroying.plan(here.aws, stack)
    output.say(f"This deletes, in {here.aws.region}:")
    for line in plan.deletes():
        output.say(f"  {line}")
    data = list(plan.data())
    if data:
        output.say("and all its data:" if delete_data else "and keeps:")
        for line in data:
            output.say(f"  {line}")
    if not agreed("\nDelete this?", yes=yes) or (delete_data and not _named(plan.stacks[-1].name)):
        output.say("Nothing was deleted.")
        raise typer.Exit(1)
    with Telling("Deleting") as telling:
        destroying.carry_out(
            here.aws, plan, delete_data=delete_data, tell=telling.tell, patience=Patience()
        )
    for line in destroying.left(here.aws, plan):
        output.say(f"kept: {line}")


def _named(name: str) -> bool:
    return typed_exactly(f"The data cannot be brought back. Type {name} to delete it:", name)


def _chosen(settings: AwsSettings, stacks: list[str]) -> list[str]:
    """The stacks that are meant. Raises `HeadgateError` for a name that is none of ours."""
    from headgate.aws import names

    unknown = [name for name in stacks if name not in names.STACKS]
    if unknown:
        raise HeadgateError(
            f"{unknown[0]} is none of our stacks.", hint=f"They are {', '.join(names.STACKS)}."
        )
    all_of_them = [name for name in names.STACKS if settings.studio or name != names.STUDIO_STACK]
    return [name for name in names.STACKS if name in stacks] if stacks else all_of_them


def _surroundings(here: Here, stacks: list[str]) -> Surroundings:
    from headgate.aws.checks import Surroundings

    return Surroundings(aws=here.aws, settings=here.settings, stacks=tuple(stacks))


def _checked(around: Surroundings) -> None:
    """Show every check.

    Raises `HeadgateError` if something is wrong that cannot be mended here.
    """
    from headgate.aws.checks import BOOTSTRAP, DOMAIN, check

    wrong: list[Finding] = []
    for finding in check(around):
        for line in output.finding_lines(finding):
            output.say(line)
        if finding.state != "wrong":
            continue
        if finding.about == DOMAIN and around.choices and _choose_domain(around):
            continue
        if finding.about == BOOTSTRAP and around.needs_bootstrap:
            continue  # offered with the question
        wrong.append(finding)
    if wrong:
        what = "One thing is" if len(wrong) == 1 else f"{len(wrong)} things are"
        raise HeadgateError(
            f"{what} in the way; nothing was changed.",
            hint="\n".join(str(finding.mend) for finding in wrong if finding.mend),
        )


def _choose_domain(around: Surroundings) -> bool:
    choices = [f"{item.id} ({item.name})" for item in around.choices]
    chosen = one_of("Which Studio domain gets the user?", choices)
    if chosen is None:
        return False
    around.existing_domain = around.choices[chosen].id
    return True


def _what_and_how_much(here: Here, around: Surroundings) -> list[str]:
    """The plan in words, and the table of what it costs."""
    from headgate.aws.cost_plan import cost_plan
    from headgate.aws.costs import BUSY, monthly, total_busy, total_idle
    from headgate.aws.prices import US_WEST_2 as PRICES

    lines = monthly(cost_plan(here.settings), PRICES)
    rows = [
        (line.item, f"{line.idle():.2f}".rjust(8), f"{line.busy():.2f}".rjust(8), line.arithmetic())
        for line in lines
    ]
    total = (f"{total_idle(lines):.2f}".rjust(8), f"{total_busy(lines):.2f}".rjust(8))
    header = ("a month in US dollars", "    idle", "    busy", "how")
    return [
        f"In account {around.found_account}, {here.aws.region}: {', '.join(around.stacks)}.",
        "",
        *output.columns(header, [*rows, ("together", *total, "")]),
        "",
        f"List prices of {PRICES.region}, {PRICES.as_of}; other regions mostly ask 5 to 25 % more.",
        f"Idle: nobody comes, the database is paused. Busy: {BUSY.hours:g} hours of a team's work.",
        "Studio's apps, training and endpoints cost what you run there.",
    ]


def _welcome(deployment: Deployment) -> None:
    address = deployment.address()
    if address is None:
        output.say("The stacks are up to date.")
        return
    output.say("")
    output.data(address)
    output.say("Sign in as the user that `headgate aws credentials` shows:")
    output.say("  headgate aws open")
    output.say("Point MLflow's clients at it:")
    output.say(f"  export MLFLOW_TRACKING_URI={address}")
    output.say("  export MLFLOW_TRACKING_USERNAME=… MLFLOW_TRACKING_PASSWORD=…")


for command in (deploy, diff, destroy):
    app.command(cls=Command)(command)
aws_look.add_to(app)
app.add_typer(aws_images.app, name="images")
