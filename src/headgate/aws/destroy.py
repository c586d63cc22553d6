"""Taking it all down again: Studio, the stacks, and the data only if that is wanted.

`plan` says what would go and what stays; `carry_out` does it, step by step, and may be called
again after an interruption. Data is the buckets, the database's last snapshot, and what else
the stacks leave behind on purpose. No CDK is needed. Start at `plan`.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from headgate.aws import names, registry, studio
from headgate.aws.buckets import bucket_exists, delete_bucket
from headgate.aws.deployment import Deployment, Resource, Stack, find_stack
from headgate.aws.session import Aws, AwsError
from headgate.aws.waiting import Patience

Tell = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Plan:
    """What a destroy would delete, and what it would leave."""

    # In the order in which they go.
    stacks: tuple[Stack, ...]
    # A domain that our stack made, or one that only has our user.
    domain_id: str | None
    own_domain: bool
    user: str | None
    other_users: tuple[str, ...]
    buckets: tuple[str, ...]
    database: str | None
    log_groups: tuple[str, ...]
    whole: bool

    def deletes(self) -> Iterator[str]:
        """What goes, in words."""
        if self.domain_id and self.own_domain:
            yield f"Studio domain {self.domain_id} with its apps, spaces and home folders on EFS"
            if self.other_users:
                yield f"  and its users {', '.join(self.other_users)}"
        elif self.domain_id and self.user:
            yield f"Studio user {self.user} of {self.domain_id} with apps and private spaces"
        for stack in self.stacks:
            yield f"stack {stack.name} ({stack.status})"
        if self.whole:
            yield f"image repositories {', '.join(map(names.repository, names.TASK_IMAGES))}"

    def data(self) -> Iterator[str]:
        """What stays, or goes too with --delete-data, in words."""
        for bucket in self.buckets:
            yield f"bucket {bucket}"
        if self.database:
            yield f"a last snapshot of the database {self.database}"
        for group in self.log_groups:
            yield f"log group {group}"


def plan(aws: Aws, chosen: Sequence[str] = ()) -> Plan:
    """Read what is there. Raises `AwsError` where it must not be deleted now."""
    deployment = Deployment(aws)
    wanted = [stack for name, stack in deployment.stacks.items() if not chosen or name in chosen]
    missing = [name for name in chosen if name not in deployment.stacks]
    if missing or not wanted:
        which = " and ".join(missing or ["of Headgate"])
        raise AwsError(
            f"There is no stack {which} in {aws.region}.",
            hint="--region or AWS_REGION names another region.",
        )
    _refuse_if_needed(deployment, wanted)
    _refuse_if_busy(wanted)
    domain_id, own_domain, user = _studio(deployment, wanted)
    others = studio.users(aws, domain_id) if domain_id and own_domain else []
    resources = [item for stack in wanted for item in deployment.resources(stack.name)]
    clusters = _ids(resources, "AWS::RDS::DBCluster")
    outliving = {
        (stack.name, logical_id)
        for stack in wanted
        for logical_id in deployment.outlives(stack.name)
    }
    staying = [item for item in resources if (item.stack, item.logical_id) in outliving]
    return Plan(
        stacks=tuple(reversed(wanted)),
        domain_id=domain_id,
        own_domain=own_domain,
        user=user,
        other_users=tuple(name for name in others if name != user),
        buckets=_ids(staying, "AWS::S3::Bucket"),
        database=clusters[0] if clusters else None,
        log_groups=_ids(staying, "AWS::Logs::LogGroup"),
        whole=len(wanted) == len(deployment.stacks),
    )


def carry_out(aws: Aws, plan: Plan, *, delete_data: bool, tell: Tell, patience: Patience) -> None:
    """Delete what the plan says; with `delete_data` what it would leave, too."""
    if plan.domain_id and plan.own_domain:
        studio.remove_domain(aws, plan.domain_id, tell=tell, patience=patience)
    elif plan.domain_id and plan.user:
        studio.remove_user(aws, plan.domain_id, plan.user, tell=tell, patience=patience)
    if plan.database:
        _unprotect(aws, plan.database, tell=tell)
    for stack in plan.stacks:
        delete_stack(aws, stack.name, tell=tell, patience=patience)
    if plan.whole:
        for image in names.TASK_IMAGES:
            if registry.delete_repository(aws, names.repository(image)):
                tell(f"Image repository {names.repository(image)}: deleted")
    if delete_data:
        _delete_data(aws, plan, tell=tell)


def left(aws: Aws, plan: Plan) -> list[str]:
    """What of the data is still there, in words."""
    found = [f"bucket {name}" for name in plan.buckets if bucket_exists(aws, name)]
    found += [f"database snapshot {name}" for name in _snapshots(aws, plan)]
    found += [f"log group {name}" for name in plan.log_groups if _log_group_exists(aws, name)]
    return found


def delete_stack(aws: Aws, name: str, *, tell: Tell, patience: Patience) -> None:
    """Delete a stack, telling of each resource. Raises `AwsError` with what stood in the way."""
    cloudformation = aws.client("cloudformation")
    described = cloudformation.describe_stacks(StackName=name)["Stacks"][0]
    stack_id = described["StackId"]
    tell(f"Stack {name}: deleting")
    watch = _Events(aws, stack_id, tell)
    kept: list[str] = []
    # A token marks the events of this deletion.
    cloudformation.delete_stack(StackName=stack_id, ClientRequestToken=uuid.uuid4().hex)
    while True:
        patience.wait(lambda: _settled(aws, stack_id, watch), what=f"Deleting the stack {name}")
        stack = find_stack(aws, stack_id)
        if stack is None or stack.status == "DELETE_COMPLETE":
            tell(f"Stack {name}: deleted")
            return
        # A bucket of logs that is not empty: it stays, and is said to.
        stuck = [item for item in watch.failed if item.kind == "AWS::S3::Bucket"]
        if kept or not stuck or len(stuck) < len(watch.failed):
            raise AwsError(
                f"The stack {name} is {stack.status}: "
                + (" ".join(watch.reasons) or stack.reason or "no reason was given"),
                hint="Remove what is in the way and call the same command again.",
            )
        kept = [item.logical_id for item in stuck]
        tell(f"Stack {name}: keeping the bucket {stuck[0].physical_id}, which is not empty")
        cloudformation.delete_stack(StackName=stack_id, RetainResources=kept)


class _Events:
    """Tells of each event of a stack once; remembers what could not be deleted."""

    def __init__(self, aws: Aws, stack_id: str, tell: Tell) -> None:
        self._aws = aws
        self._stack_id = stack_id
        self._tell = tell
        self._seen = {event["EventId"] for event in self._newest()}
        self.failed: list[Resource] = []
        self.reasons: list[str] = []

    def look(self) -> None:
        """Tell what is new, the oldest first."""
        for event in reversed(self._newest()):
            if event["EventId"] in self._seen:
                continue
            self._seen.add(event["EventId"])
            resource = Resource(
                event["StackName"],
                event["LogicalResourceId"],
                event.get("PhysicalResourceId", ""),
                event["ResourceType"],
                event.get("ResourceStatus", ""),
            )
            if resource.physical_id == self._stack_id:
                continue
            self._tell(f"{resource.stack}: {resource.status} {resource.logical_id}")
            if resource.status == "DELETE_FAILED":
                self.failed.append(resource)
                reason = event.get("ResourceStatusReason", "no reason was given")
                self.reasons.append(f"{resource.logical_id}: {reason}")

    def _newest(self) -> list[dict[str, str]]:
        answer = self._aws.client("cloudformation").describe_stack_events(StackName=self._stack_id)
        return list(answer["StackEvents"])


def _settled(aws: Aws, stack_id: str, watch: _Events) -> bool:
    watch.look()
    stack = find_stack(aws, stack_id)
    return stack is None or stack.status in ("DELETE_COMPLETE", "DELETE_FAILED")


def _studio(deployment: Deployment, wanted: Sequence[Stack]) -> tuple[str | None, bool, str | None]:
    """The domain, whether our stack made it, and our user in it."""
    if names.STUDIO_STACK not in [stack.name for stack in wanted]:
        return None, False, None
    resources = deployment.resources(names.STUDIO_STACK)
    made = _ids(resources, "AWS::SageMaker::Domain")
    user = deployment.output(names.STUDIO_STACK, names.STUDIO_USER_PROFILE)
    if made:
        return made[0], True, user
    return deployment.output(names.STUDIO_STACK, names.STUDIO_DOMAIN), False, user


def _refuse_if_needed(deployment: Deployment, wanted: Sequence[Stack]) -> None:
    """A stack that others stand on goes only together with them."""
    going = {stack.name for stack in wanted}
    staying = [name for name in deployment.stacks if name not in going]
    foundation = next((name for name in names.STACKS if name in going), None)
    above = [
        name
        for name in staying
        if foundation and names.STACKS.index(name) > names.STACKS.index(foundation)
    ]
    if above:
        options = " ".join(f"--stack {name}" for name in (*going, *above))
        raise AwsError(
            f"{' and '.join(above)} cannot do without {foundation}.",
            hint=f"headgate aws destroy {options}",
        )


def _refuse_if_busy(wanted: Sequence[Stack]) -> None:
    for stack in wanted:
        if stack.busy and not stack.status.startswith("DELETE"):
            raise AwsError(
                f"The stack {stack.name} is {stack.status}; something else works on it.",
                hint="Wait until `headgate aws status` shows it settled.",
            )


def _unprotect(aws: Aws, cluster: str, *, tell: Tell) -> None:
    rds = aws.client("rds")
    try:
        found = rds.describe_db_clusters(DBClusterIdentifier=cluster)["DBClusters"]
    except rds.exceptions.DBClusterNotFoundFault:
        return
    if found and found[0].get("DeletionProtection"):
        tell(f"Database {cluster}: taking its deletion protection off")
        rds.modify_db_cluster(
            DBClusterIdentifier=cluster, DeletionProtection=False, ApplyImmediately=True
        )


def _delete_data(aws: Aws, plan: Plan, *, tell: Tell) -> None:
    for bucket in plan.buckets:
        delete_bucket(aws, bucket, tell=tell)
    for snapshot in _snapshots(aws, plan):
        aws.client("rds").delete_db_cluster_snapshot(DBClusterSnapshotIdentifier=snapshot)
        tell(f"Database snapshot {snapshot}: deleted")
    for group in plan.log_groups:
        if _log_group_exists(aws, group):
            aws.client("logs").delete_log_group(logGroupName=group)
            tell(f"Log group {group}: deleted")


def _snapshots(aws: Aws, plan: Plan) -> list[str]:
    if plan.database is None:
        return []
    pages = aws.pages("rds", "describe_db_cluster_snapshots", DBClusterIdentifier=plan.database)
    return [
        item["DBClusterSnapshotIdentifier"]
        for page in pages
        for item in page["DBClusterSnapshots"]
        if item.get("SnapshotType") != "automated"
    ]


def _log_group_exists(aws: Aws, name: str) -> bool:
    found = aws.client("logs").describe_log_groups(logGroupNamePrefix=name)["logGroups"]
    return any(group["logGroupName"] == name for group in found)


def _ids(resources: Sequence[Resource], kind: str) -> tuple[str, ...]:
    return tuple(item.physical_id for item in resources if item.kind == kind and item.physical_id)
