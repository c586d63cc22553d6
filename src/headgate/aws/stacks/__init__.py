"""The CDK application: three stacks, put together from `headgate.aws.constructs`.

`python -m headgate.aws.stacks` writes their templates; the `cdk` CLI calls it (cdk.json). It
asks AWS nothing: what must be looked up is found by `headgate aws deploy` and handed over as
context (`headgate.aws.handover`). Start at `application`.
"""
