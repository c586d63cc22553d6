"""The table of doors: what each shuts, what it leaves open, what it says."""

from __future__ import annotations

import json
from http import HTTPStatus

import pytest

from headgate.mlflow_app.doors import DOORS, Door, mlflow_switches, shut_doors
from headgate.settings.limits import DoorSettings


def the(setting: str) -> Door:
    return next(door for door in DOORS if door.setting == setting)


def test_every_door_has_a_setting_that_shuts_it_by_default() -> None:
    settings = DoorSettings()
    assert {door.setting for door in DOORS} == set(DoorSettings.model_fields) - {
        "allow_outside_locations"
    }
    assert shut_doors(settings) == DOORS


def test_a_setting_opens_its_door_alone() -> None:
    settings = DoorSettings(allow_webhooks=True)
    assert [door for door in DOORS if door not in shut_doors(settings)] == [the("allow_webhooks")]
    assert "MLFLOW_WEBHOOK_ALLOWED_SCHEMES" not in mlflow_switches(settings)
    assert mlflow_switches(settings)["MLFLOW_ENABLE_AI_GATEWAY"] == "false"


@pytest.mark.parametrize("door", DOORS, ids=lambda door: door.setting)
def test_the_sentence_names_the_setting(door: Door) -> None:
    assert door.setting in door.sentence
    assert f"HEADGATE_{door.setting.upper()}=true" in door.sentence


def test_a_refusal_is_403_in_mlflows_error_form() -> None:
    answer = the("allow_webhooks").answer("POST", "/api/2.0/mlflow/webhooks")
    assert answer is not None
    status, body = answer
    assert status == HTTPStatus.FORBIDDEN
    assert json.loads(body)["error_code"] == "PERMISSION_DENIED"


@pytest.mark.parametrize(
    ("setting", "method", "path"),
    [
        ("allow_webhooks", "GET", "/api/2.0/mlflow/webhooks"),
        ("allow_webhooks", "POST", "/api/2.0/mlflow/webhooksmith"),
        ("allow_jobs", "POST", "/ajax-api/3.0/jobs/search"),
        ("allow_jobs", "GET", "/ajax-api/3.0/jobs/1"),
        ("allow_jobs", "POST", "/api/3.0/mlflow/prompt-optimization/jobs/search"),
        ("allow_jobs", "POST", "/api/3.0/mlflow/scorers/register"),
        ("allow_jobs", "POST", "/api/3.0/mlflow/issues/search"),
        ("allow_ai_gateway", "GET", "/ajax-api/2.0/mlflow/gateway-proxy"),
        ("allow_ai_gateway", "POST", "/api/2.0/mlflow/runs/create"),
        ("allow_ai_gateway", "GET", "/gateway"),
    ],
)
def test_what_is_harmless_stays_open(setting: str, method: str, path: str) -> None:
    assert the(setting).answer(method, path) is None


def test_a_line_break_does_not_end_the_match() -> None:
    assert the("allow_ai_gateway").answer("POST", "/gateway/proxy/x/a\nb") is not None
