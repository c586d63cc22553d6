"""Headgate on AWS: what deploys, watches and deletes it, by boto3 and the `cdk` CLI.

`names` is what the stacks and the commands call things, `handover` what a deployment tells the
CDK application. Start at `deploy` and `destroy`; `headgate.cli.aws` only parses and prints.
"""
