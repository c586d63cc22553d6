"""SageMaker Studio: which domains there are, and how one is taken down.

CloudFormation deletes neither running apps nor a domain's EFS, and both keep its stack from
being deleted. So apps go first, then spaces, users, the domain with its EFS, and the security
groups that Studio made in the VPC. Each step may be repeated. Start at `remove_domain`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from headgate.aws.session import Aws, error_code
from headgate.aws.waiting import Patience

Tell = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Domain:
    """A Studio domain as it is listed."""

    id: str
    name: str
    status: str
    auth_mode: str

    @property
    def usable(self) -> bool:
        """Whether a user of IAM can be added to it."""
        return self.status == "InService" and self.auth_mode == "IAM"


def domains(aws: Aws) -> list[Domain]:
    """Every domain of the region."""
    listed = [item for page in aws.pages("sagemaker", "list_domains") for item in page["Domains"]]
    return [found for item in listed if (found := domain(aws, item["DomainId"])) is not None]


def domain(aws: Aws, domain_id: str) -> Domain | None:
    """One domain; None where there is none of this id."""
    found = _described(aws, "describe_domain", DomainId=domain_id)
    if found is None:
        return None
    return Domain(domain_id, found["DomainName"], found["Status"], found["AuthMode"])


def users(aws: Aws, domain_id: str) -> list[str]:
    """The user profiles of a domain."""
    return [
        item["UserProfileName"]
        for page in aws.pages("sagemaker", "list_user_profiles", DomainIdEquals=domain_id)
        for item in page["UserProfiles"]
    ]


def remove_user(aws: Aws, domain_id: str, user: str, *, tell: Tell, patience: Patience) -> None:
    """Delete a user with their apps and private spaces; the domain and others stay."""
    spaces = [space for space, owner in _spaces(aws, domain_id) if owner == user]
    _remove_apps(
        aws,
        domain_id,
        lambda app: app.get("UserProfileName") == user or app.get("SpaceName") in spaces,
        tell=tell,
        patience=patience,
    )
    _remove_spaces(aws, domain_id, spaces, tell=tell, patience=patience)
    _remove_users(aws, domain_id, [user], tell=tell, patience=patience)


def remove_domain(aws: Aws, domain_id: str, *, tell: Tell, patience: Patience) -> None:
    """Delete a domain with everything in it: apps, spaces, users, home folders on EFS."""
    if domain(aws, domain_id) is None:
        tell(f"Studio domain {domain_id}: is not there any more")
        _remove_security_groups(aws, domain_id, tell=tell)
        return
    _remove_apps(aws, domain_id, lambda app: True, tell=tell, patience=patience)
    spaces = [space for space, _ in _spaces(aws, domain_id)]
    _remove_spaces(aws, domain_id, spaces, tell=tell, patience=patience)
    _remove_users(aws, domain_id, users(aws, domain_id), tell=tell, patience=patience)
    tell(f"Studio domain {domain_id}: deleting, with the home folders on EFS")
    _unless_gone(
        aws.client("sagemaker").delete_domain,
        DomainId=domain_id,
        RetentionPolicy={"HomeEfsFileSystem": "Delete"},
    )
    patience.wait(
        lambda: _described(aws, "describe_domain", DomainId=domain_id) is None,
        what=f"Deleting the Studio domain {domain_id}",
    )
    _remove_security_groups(aws, domain_id, tell=tell)


def _apps(aws: Aws, domain_id: str) -> Iterator[dict[str, Any]]:
    for page in aws.pages("sagemaker", "list_apps", DomainIdEquals=domain_id):
        # Deleted apps stay in the listing for a day.
        yield from (app for app in page["Apps"] if app["Status"] != "Deleted")


def _spaces(aws: Aws, domain_id: str) -> list[tuple[str, str | None]]:
    """Spaces and who owns them; a shared space may have no owner."""
    return [
        (
            item["SpaceName"],
            item.get("OwnershipSettingsSummary", {}).get("OwnerUserProfileName"),
        )
        for page in aws.pages("sagemaker", "list_spaces", DomainIdEquals=domain_id)
        for item in page["Spaces"]
    ]


def _remove_apps(
    aws: Aws,
    domain_id: str,
    meant: Callable[[dict[str, Any]], bool],
    *,
    tell: Tell,
    patience: Patience,
) -> None:
    # Looked up once more after each round: an app may have been started meanwhile.
    asked: set[tuple[str, ...]] = set()
    left = -1

    def all_gone() -> bool:
        nonlocal left
        apps = [app for app in _apps(aws, domain_id) if meant(app)]
        for app in apps:
            if app["Status"] == "Deleting" or _identity(app) in asked:
                continue
            asked.add(_identity(app))
            whose = app.get("SpaceName") or app.get("UserProfileName")
            tell(f"Studio app {app['AppType']} {app['AppName']} of {whose}: deleting")
            _unless_gone(aws.client("sagemaker").delete_app, **_app_arguments(domain_id, app))
        if len(apps) != left:
            left = len(apps)
            if left:
                tell(f"Studio apps: {left} still there; one can take 20 minutes")
        return not apps

    patience.wait(all_gone, what=f"Deleting the apps of the Studio domain {domain_id}")


def _identity(app: dict[str, Any]) -> tuple[str, ...]:
    keys = ("UserProfileName", "SpaceName", "AppType", "AppName")
    return tuple(str(app.get(key)) for key in keys)


def _app_arguments(domain_id: str, app: dict[str, Any]) -> dict[str, str]:
    owner = "SpaceName" if app.get("SpaceName") else "UserProfileName"
    keys = (owner, "AppType", "AppName")
    return {"DomainId": domain_id, **{key: app[key] for key in keys}}


def _remove_spaces(
    aws: Aws, domain_id: str, spaces: list[str], *, tell: Tell, patience: Patience
) -> None:
    for space in spaces:
        tell(f"Studio space {space}: deleting")
        _unless_gone(aws.client("sagemaker").delete_space, DomainId=domain_id, SpaceName=space)
    patience.wait(
        lambda: not {space for space, _ in _spaces(aws, domain_id)} & set(spaces),
        what="Deleting the Studio spaces",
    )


def _remove_users(
    aws: Aws, domain_id: str, names: list[str], *, tell: Tell, patience: Patience
) -> None:
    for user in names:
        tell(f"Studio user {user}: deleting")
        _unless_gone(
            aws.client("sagemaker").delete_user_profile,
            DomainId=domain_id,
            UserProfileName=user,
        )
    patience.wait(
        lambda: not set(users(aws, domain_id)) & set(names), what="Deleting the Studio users"
    )


def _remove_security_groups(aws: Aws, domain_id: str, *, tell: Tell) -> None:
    """Those for EFS, which Studio makes in the VPC and leaves there; they name each other."""
    ec2 = aws.client("ec2")
    names = [f"security-group-for-{way}-nfs-{domain_id}" for way in ("inbound", "outbound")]
    found = ec2.describe_security_groups(Filters=[{"Name": "group-name", "Values": names}])
    groups = found["SecurityGroups"]
    for group in groups:
        if group.get("IpPermissions"):
            ec2.revoke_security_group_ingress(
                GroupId=group["GroupId"], IpPermissions=group["IpPermissions"]
            )
        if group.get("IpPermissionsEgress"):
            ec2.revoke_security_group_egress(
                GroupId=group["GroupId"], IpPermissions=group["IpPermissionsEgress"]
            )
    for group in groups:
        tell(f"Studio security group {group['GroupName']}: deleting")
        ec2.delete_security_group(GroupId=group["GroupId"])


def _described(aws: Aws, operation: str, **arguments: str) -> dict[str, Any] | None:
    sagemaker = aws.client("sagemaker")
    try:
        found: dict[str, Any] = getattr(sagemaker, operation)(**arguments)
    except sagemaker.exceptions.ClientError as error:
        if _gone(error):
            return None
        raise
    return found


def _unless_gone(call: Callable[..., Any], **arguments: Any) -> None:
    from botocore.exceptions import ClientError

    try:
        call(**arguments)
    except ClientError as error:
        if not _gone(error):
            raise


def _gone(error: Exception) -> bool:
    code, words = error_code(error), str(error).lower()
    # Older parts of SageMaker say the same as a fault of validation.
    missing = code == "ValidationException" and ("not found" in words or "not find" in words)
    return missing or code in ("ResourceNotFound", "ResourceNotFoundException")
