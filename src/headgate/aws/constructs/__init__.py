"""The parts of the stacks, one construct each; `headgate.aws.stacks` only puts them together.

A construct takes the values that it needs, never the settings as a whole, and grants access to
what it made instead of handing its inside out. What it makes without being told, and why, is
in its docstring; every permission is in docs/aws-permissions.md.
"""
