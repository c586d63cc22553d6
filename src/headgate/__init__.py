"""Headgate runs MLflow locked and fast: a gateway in front of an unmodified MLflow."""

__version__ = "0.1.0"
