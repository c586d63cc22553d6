"""People with browsers: the sign-in page, MLflow's own interface behind the door, and the way out.

What the pages show was made by MLflow's client (`tests/harness/showcase.py`). No page may make
the browser complain, least of all about our content security policy.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

pytest.importorskip("playwright")

from playwright.sync_api import Browser, TimeoutError, expect

from tests.harness import HeadgateServer, User, eventually
from tests.harness.browser import PATIENCE_MS, SIGN_IN, Visitor, chromium
from tests.harness.filling import Filled, fill

pytestmark = pytest.mark.browser
expect.set_options(timeout=PATIENCE_MS)


@dataclass(frozen=True, slots=True)
class Site:
    """A server with something to see, and people who may look."""

    server: HeadgateServer
    ada: User
    made: Filled

    @property
    def admin(self) -> User:
        """The administrator."""
        return self.server.admin

    def user(self, name: str) -> User:
        """The admin or the ordinary user."""
        return self.admin if name == "admin" else self.ada


@pytest.fixture(scope="module")
def site(sqlite_server: HeadgateServer) -> Site:
    return Site(sqlite_server, sqlite_server.user("ada"), fill(sqlite_server))


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as running:
        yield running


@pytest.fixture
def visitor(browser: Browser, site: Site) -> Iterator[Visitor]:
    with Visitor(browser, site.server) as person:
        yield person


# --- in and out ---------------------------------------------------------------------------


def test_a_person_signs_in_sees_a_chart_and_their_name_signs_out_and_finds_the_door_shut(
    visitor: Visitor, site: Site
) -> None:
    visitor.sign_in(site.ada)
    visitor.visit(
        f"/#/experiments/{site.made.experiment_id}/runs/{site.made.best_run_id}/model-metrics"
    )
    visitor.sees(CHART)
    assert visitor.complaints == []
    kept_cookies = visitor.context.cookies()

    visitor.account(site.ada).click()
    visitor.page.get_by_role("menuitem", name="Logout").click()
    visitor.page.wait_for_url(f"**{SIGN_IN}")
    assert visitor.context.cookies() == []

    visitor.page.go_back()
    visitor.page.wait_for_url(f"**{SIGN_IN}**")
    expect(visitor.page.get_by_role("heading", name="Sign in")).to_be_visible()

    # A copy of the cookies, taken before, opens nothing either.
    visitor.context.add_cookies(kept_cookies)  # type: ignore[arg-type]  # what it gave out itself
    visitor.visit("/")
    visitor.page.wait_for_url(f"**{SIGN_IN}**")
    answer = visitor.context.request.get(
        f"{site.server.url}/ajax-api/2.0/mlflow/runs/get?run_id={site.made.best_run_id}"
    )
    assert answer.status == 401


def test_the_session_cookie_is_out_of_reach_of_scripts(visitor: Visitor, site: Site) -> None:
    visitor.sign_in(site.ada)
    readable = visitor.page.evaluate("document.cookie")
    assert "headgate_session" not in readable
    (session,) = [c for c in visitor.context.cookies() if "headgate_session" in c["name"]]
    assert session["httpOnly"] is True
    assert session["sameSite"] == "Lax"


def test_a_wrong_password_is_told_on_the_page_and_lets_nobody_in(
    visitor: Visitor, site: Site
) -> None:
    visitor.visit("/")
    visitor.page.get_by_label("User name").fill("ada")
    visitor.page.get_by_label("Password").fill("not ada's password")
    visitor.page.get_by_role("button", name="Sign in").click()
    expect(visitor.page.get_by_role("alert")).to_be_visible()
    expect(visitor.page.get_by_label("User name")).to_have_value("ada")
    assert visitor.context.cookies() == []


def test_a_link_to_a_run_leads_there_over_the_sign_in_page(visitor: Visitor, site: Site) -> None:
    link = f"/#/experiments/{site.made.experiment_id}/runs/{site.made.best_run_id}"
    visitor.sign_in(site.ada, link)
    assert visitor.page.url.startswith(site.server.url + link)
    expect(visitor.page.get_by_role("heading", name="depth-6-lr-0.1")).to_be_visible()


def test_the_sign_in_page_loads_nothing_but_its_own_assets(visitor: Visitor, site: Site) -> None:
    asked: list[str] = []
    visitor.context.on("request", lambda request: asked.append(request.url))
    visitor.visit("/")
    visitor.page.wait_for_load_state("networkidle")
    paths = {url.removeprefix(site.server.url) for url in asked if url != "about:blank"}
    assert {path for path in paths if not path.startswith("/headgate/")} == {"/"}
    assert visitor.complaints == []


# --- every page of MLflow's interface -----------------------------------------------------

RUN = "/#/experiments/{experiment_id}/runs/{run_id}"
CHART = "css=.js-plotly-plot .scatterlayer path.js-line"
# Address, and what is there once it is shown: a text or a selector.
PAGES = {
    "home": ("/#/", "Recent Experiments"),
    "experiments": ("/#/experiments", "churn-forecast"),
    "runs": ("/#/experiments/{experiment_id}/runs", "depth-8-lr-0.03"),
    "charts": ("/#/experiments/{experiment_id}/runs?compareRunsMode=CHART", CHART),
    "run": (RUN, "Best of the sweep"),
    "run metrics": (RUN + "/model-metrics", CHART),
    "system metrics": (RUN + "/system-metrics", "No charts in this section"),
    "traces": ("/#/experiments/{experiment_id}/traces", "Why may customer a leave?"),
    "trace": (
        "/#/experiments/{experiment_id}/traces?selectedEvaluationId={trace_id}",
        "Because of the complaints.",
    ),
    "sessions": ("/#/experiments/{experiment_id}/chat-sessions", "Sessions"),
    "datasets": ("/#/experiments/{experiment_id}/datasets", "Datasets"),
    "logged models": ("/#/experiments/{experiment_id}/models", "model"),
    "models": ("/#/models", "Registered Models"),
    "model": ("/#/models/churn-forecast", "Who will leave within 30 days?"),
    "model version": ("/#/models/churn-forecast/versions/1", "champion"),
    "prompts": ("/#/prompts", "explain-churn"),
    "prompt": ("/#/prompts/explain-churn", "Viewing version 2"),
    "settings": ("/#/settings", "Theme preference"),
    "account": ("/#/account", "Change password"),
    "text artifact": (RUN + "/artifacts/notes.txt", "Threshold 0.42"),
    "markdown artifact": (RUN + "/artifacts/card.md", "calls only."),
    "JSON artifact": (RUN + "/artifacts/config.json", '"threshold"'),
    "YAML artifact": (RUN + "/artifacts/config.yaml", "threshold"),
    "CSV artifact": (RUN + "/artifacts/risks.csv", "Previewing the first 2 rows"),
    "table artifact": (RUN + "/artifacts/risks.json", "customer"),
}


@pytest.mark.parametrize("who", ["admin", "ada"])
def test_no_page_makes_the_browser_complain(browser: Browser, site: Site, who: str) -> None:
    faults: dict[str, list[str]] = {}
    with Visitor(browser, site.server) as visitor:
        visitor.sign_in(site.user(who))
        for name, (path, text) in PAGES.items():
            visitor.complaints.clear()
            visitor.visit(_fill_in(path, site))
            try:
                visitor.sees(text)
            except TimeoutError as error:
                visitor.complaints.append(f"{text!r} is not there: {error}")
            if visitor.complaints:
                faults[name] = list(visitor.complaints)
    assert faults == {}


def test_pictures_and_documents_are_shown(visitor: Visitor, site: Site) -> None:
    visitor.sign_in(site.ada)
    for name in ("roc.png", "roc.svg"):
        visitor.visit(_fill_in(f"{RUN}/artifacts/{name}", site))
        # MLflow's viewer makes the picture from what it fetched: a picture has its own width.
        visitor.page.wait_for_function(
            "[...document.querySelectorAll('img')].some("
            "image => /^(blob|data):|artifact/.test(image.src) && image.naturalWidth >= 200)"
        )
    visitor.visit(_fill_in(f"{RUN}/artifacts/roc.pdf", site))
    expect(visitor.page.locator("canvas").first).to_be_visible()
    assert visitor.complaints == []


def test_runs_are_compared_with_parallel_coordinates(visitor: Visitor, site: Site) -> None:
    runs, experiments = json.dumps(site.made.run_ids[:4]), json.dumps([site.made.experiment_id])
    visitor.sign_in(site.ada)
    visitor.visit(f"/#/compare-runs?runs={runs}&experiments={experiments}")
    expect(visitor.page.locator(".js-plotly-plot .parcoords").first).to_be_visible()
    # Plotly says so in the chart when it may not compile what draws it.
    expect(visitor.page.get_by_text("WebGL is not supported")).to_have_count(0)
    assert visitor.complaints == []


def test_a_trace_is_shown_as_a_notebook_shows_it(visitor: Visitor, site: Site) -> None:
    visitor.sign_in(site.ada)
    visitor.visit(
        "/static-files/lib/notebook-trace-renderer/index.html"
        f"?trace_id={site.made.trace_ids[0]}&experiment_id={site.made.experiment_id}"
    )
    visitor.sees("Why may customer a leave?")
    assert visitor.complaints == []


# --- what others logged -------------------------------------------------------------------


def test_an_html_artifact_runs_its_script_without_the_session(visitor: Visitor, site: Site) -> None:
    visitor.sign_in(site.ada)
    visitor.visit(_fill_in(f"{RUN}/artifacts/report.html", site))
    report = visitor.page.frame_locator("iframe.mlflow-html-iframe")
    expect(report.locator("#result")).to_have_text("best AUC 0.861")
    assert visitor.complaints == []

    (frame,) = [frame for frame in visitor.page.frames if frame.url.startswith("blob:")]
    assert frame.evaluate("self.origin") == "null"
    fetched = frame.evaluate(
        "url => fetch(url, {credentials: 'include'}).then(a => a.status, () => 'refused')",
        f"{site.server.url}/ajax-api/2.0/mlflow/users/current",
    )
    assert fetched == "refused"


def test_an_artifact_opened_as_a_page_has_neither_script_nor_session(
    visitor: Visitor, site: Site
) -> None:
    visitor.sign_in(site.ada)
    for path in (
        f"/get-artifact?path=report.html&run_uuid={site.made.best_run_id}",
        f"/get-artifact?path=roc.svg&run_uuid={site.made.best_run_id}",
        f"/api/2.0/mlflow-artifacts/artifacts/{site.made.experiment_id}/{site.made.best_run_id}"
        "/artifacts/report.html",
    ):
        answer = visitor.context.request.get(site.server.url + path)
        assert answer.status == 200, path
        assert answer.headers["content-security-policy"].startswith("sandbox; default-src 'none'")
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["content-disposition"].startswith("attachment")


def test_an_artifact_is_downloaded(visitor: Visitor, site: Site, tmp_path: Path) -> None:
    visitor.sign_in(site.ada)
    visitor.visit(_fill_in(f"{RUN}/artifacts/notes.txt", site))
    visitor.sees("Threshold 0.42")
    with visitor.page.expect_download() as download:
        visitor.page.locator("button[data-component-id*=artifactview]").first.click()
    assert Path(download.value.path()).read_text().startswith("Threshold 0.42")
    assert visitor.complaints == []


def test_markup_in_names_and_notes_stays_text(visitor: Visitor, site: Site) -> None:
    attack = "<img src=x onerror=\"document.title='owned'\"><script>document.title='owned'</script>"
    run = site.server.api(
        "POST",
        "/api/2.0/mlflow/runs/create",
        {
            "experiment_id": site.server.api(
                "POST", "/api/2.0/mlflow/experiments/create", {"name": f"attack {attack}"}
            )["experiment_id"],
            "run_name": attack,
            "tags": [{"key": "mlflow.note.content", "value": attack}],
        },
    )["run"]["info"]
    visitor.sign_in(site.admin)
    visitor.visit(f"/#/experiments/{run['experiment_id']}/runs/{run['run_id']}")
    visitor.sees("Description")
    assert visitor.page.title() != "owned"
    assert not [told for told in visitor.complaints if "policy" in told.lower()]


# --- while MLflow is not there ------------------------------------------------------------


def test_a_starting_page_waits_for_mlflow_and_then_shows_what_was_asked_for(
    browser: Browser, site: Site
) -> None:
    link = f"/#/experiments/{site.made.experiment_id}/runs/{site.made.best_run_id}"
    with Visitor(browser, site.server) as visitor:
        visitor.sign_in(site.ada)
        site.server.mlflow_process().kill()
        eventually(lambda: site.server.request("GET", "/ready").status == 503, seconds=20)
        visitor.visit(link)
        expect(visitor.page.get_by_role("heading", name="Almost there")).to_be_visible()
        expect(visitor.page.get_by_role("status")).to_contain_text("started again")
        site.server.wait_ready()
        expect(visitor.page.get_by_role("heading", name="depth-6-lr-0.1")).to_be_visible()


def _fill_in(path: str, site: Site) -> str:
    made = site.made
    return path.format(
        experiment_id=made.experiment_id, run_id=made.best_run_id, trace_id=made.trace_ids[0]
    )
