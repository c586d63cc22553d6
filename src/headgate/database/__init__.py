"""The databases under MLflow: engines, what their errors mean, locks, schema revisions.

For everybody who needs a connection; MLflow itself is never imported. Start at `engine`.
"""
