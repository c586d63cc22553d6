"""How much a client may ask for, and what stays closed unless a setting opens it."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, Field


class LimitSettings(BaseModel):
    """Bounds on requests. Sizes are in bytes, times in seconds."""

    max_json_bytes: int = Field(
        16 * 2**20, ge=2**10, description="Largest JSON, form or trace body."
    )
    max_artifact_bytes: int = Field(
        0, ge=0, description="Largest artifact that may be uploaded; 0: any size."
    )
    max_json_depth: int = Field(100, ge=10, le=1000, description="Deepest nesting of a JSON body.")
    request_seconds: float = Field(
        25, ge=1, le=600, description="Time within which headers and a JSON body must arrive."
    )
    edge: Literal["none", "http-api", "alb"] = Field(
        "none",
        description="What stands in front in AWS. `http-api`: bodies of more than 10 MB are "
        "refused in words, as API Gateway takes none. With either, `headgate migrate` refuses "
        "what servers of the version before could not work with.",
    )
    upstream_wait_seconds: float = Field(
        60, ge=0, le=600, description="How long a request waits while MLflow starts, before 503."
    )


class DoorSettings(BaseModel):
    """What would let a user make the server act or read elsewhere: closed by default."""

    allow_outside_locations: bool = Field(
        False,
        description="Let users who are not admins name artifact locations and model sources "
        "outside the artifact store.",
    )
    allow_webhooks: bool = Field(False, description="Let MLflow call webhooks.")
    allow_jobs: bool = Field(
        False, description="Run MLflow's job executor (seven more processes, some 2 GB)."
    )
    allow_ai_gateway: bool = Field(False, description="Open MLflow's AI gateway to LLM providers.")
    allow_assistant: bool = Field(False, description="Open MLflow's assistant.")
