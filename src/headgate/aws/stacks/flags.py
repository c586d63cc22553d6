"""The CDK's feature flags: those of `cdk init` that concern what our stacks use.

They stand here, not in cdk.json, so that an installed Headgate, which has no cdk.json, writes
the same templates.
"""

from __future__ import annotations

from typing import Any

FLAGS: dict[str, Any] = {
    "@aws-cdk/core:target-partitions": ["aws", "aws-cn", "aws-us-gov"],
    "@aws-cdk/core:checkSecretUsage": True,
    "@aws-cdk/core:enablePartitionLiterals": True,
    "@aws-cdk/core:includePrefixInUniqueNameGeneration": True,
    "@aws-cdk/core:validateSnapshotRemovalPolicy": True,
    "@aws-cdk/core:explicitStackTags": True,
    "@aws-cdk/core:aspectPrioritiesMutating": True,
    # Findings of CloudFormation's own rules are errors.
    "@aws-cdk/core:validateAgainstDefaultRules": True,
    # Fn::GetStackOutput: a change of the edge replaces what another stack refers to, which an
    # export that is in use would forbid.
    "@aws-cdk/core:defaultCrossStackReferences": "weak",
    "@aws-cdk/aws-apigateway:logGroupDestinationArnWithoutWildcard": True,
    "@aws-cdk/aws-ec2:restrictDefaultSecurityGroup": True,
    "@aws-cdk/aws-ecs:arnFormatIncludesClusterName": True,
    "@aws-cdk/aws-ecs:disableExplicitDeploymentControllerForCircuitBreaker": True,
    "@aws-cdk/aws-ecs:reduceEc2FargateCloudWatchPermissions": True,
    "@aws-cdk/aws-ecs:removeDefaultDeploymentAlarm": True,
    "@aws-cdk/aws-elasticloadbalancingv2:usePostQuantumTlsPolicy": True,
    "@aws-cdk/aws-elasticloadbalancingV2:albDualstackWithoutPublicIpv4SecurityGroupRulesDefault": (
        True
    ),
    "@aws-cdk/aws-iam:minimizePolicies": True,
    "@aws-cdk/aws-rds:auroraClusterChangeScopeOfInstanceParameterGroupWithEachParameters": True,
    "@aws-cdk/aws-rds:preventRenderingDeprecatedCredentials": True,
    "@aws-cdk/aws-s3:createDefaultLoggingPolicy": True,
    "@aws-cdk/aws-s3:publicAccessBlockedByDefault": True,
    "@aws-cdk/aws-s3:serverAccessLogsUseBucketPolicy": True,
}
