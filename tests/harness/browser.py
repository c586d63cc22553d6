"""A person with a browser, who notices what a person would not: complaints in the console.

`Visitor` is one person in a browser profile of their own. Whatever the browser objects to
(our content security policy, an error in a script, an answer that failed, a request to
somewhere else) is kept in `complaints`.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Self

from playwright.sync_api import Browser, ConsoleMessage, Locator, Request, Response, sync_playwright

from tests.harness.server import HeadgateServer, User

PROGRAMS = ("chromium", "chromium-browser", "google-chrome")
WIDTH, HEIGHT = 1400, 900
PATIENCE_MS = 30_000
SIGN_IN = "/headgate/sign-in"

# Caught evaluations (Plotly's) are blocked without a word in the console; this event tells.
_TELL_VIOLATIONS = """
addEventListener("securitypolicyviolation", event => console.error(
    `policy violation: ${event.effectiveDirective} ${event.blockedURI} ${event.sourceFile}`));
"""
# MLflow's own, with any server: a chart was laid out in two steps.
_HARMLESS = ("ResizeObserver loop",)


@contextmanager
def chromium() -> Iterator[Browser]:
    """A headless Chromium."""
    program = next(path for path in map(shutil.which, PROGRAMS) if path)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=program,
            args=[
                "--no-sandbox",
                "--disable-gpu",
                "--disable-background-networking",
                "--disable-component-update",
                "--no-first-run",
            ],
        )
        try:
            yield browser
        finally:
            browser.close()


class Visitor:
    """One person at one server. A context manager; leaving it closes the profile."""

    def __init__(self, browser: Browser, server: HeadgateServer) -> None:
        self.server = server
        self.complaints: list[str] = []
        self.context = browser.new_context(
            viewport={"width": WIDTH, "height": HEIGHT}, timezone_id="UTC", locale="en-GB"
        )
        self.context.set_default_timeout(PATIENCE_MS)
        self.context.add_init_script(_TELL_VIOLATIONS)
        self.context.on("console", self._heard)
        self.context.on("weberror", lambda error: self.complaints.append(str(error.error)))
        self.context.on("request", self._asked)
        self.context.on("response", self._answered)
        self.page = self.context.new_page()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.context.close()

    def visit(self, path: str) -> None:
        """Type an address. Always a new load, also where only the fragment differs."""
        self.page.goto("about:blank")
        self.page.goto(self.server.url + path)

    def sign_in(self, user: User, path: str = "/") -> Self:
        """Ask for `path`, get the sign-in page, fill it in."""
        self.visit(path)
        self.page.wait_for_url(f"**{SIGN_IN}**")
        self.page.get_by_label("User name").fill(user.name)
        self.page.get_by_label("Password").fill(user.password)
        self.page.get_by_role("button", name="Sign in").click()
        self.account(user).wait_for()
        return self

    def account(self, user: User) -> Locator:
        """One's own name, at the foot of MLflow's navigation."""
        return self.page.get_by_role("button", name=f"Account menu for {user.name}")

    def sees(self, what: str) -> None:
        """Wait until the page shows a text, or what a selector (`css=…`) names."""
        found = self.page.locator(what) if what.startswith("css=") else self.page.get_by_text(what)
        found.first.wait_for()

    def picture(self, path: Path) -> None:
        """A screenshot, for people."""
        path.parent.mkdir(parents=True, exist_ok=True)
        self.page.screenshot(path=path, animations="disabled")

    def _heard(self, message: ConsoleMessage) -> None:
        if message.type == "error" and not any(word in message.text for word in _HARMLESS):
            self.complaints.append(f"console: {message.text} ({message.location})")

    def _asked(self, request: Request) -> None:
        if not request.url.startswith((self.server.url, "data:", "blob:", "about:")):
            self.complaints.append(f"request to another server: {request.url}")

    def _answered(self, response: Response) -> None:
        if response.status >= 400:
            self.complaints.append(f"{response.status} {response.request.method} {response.url}")
