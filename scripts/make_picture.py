"""Take the README's picture of the signed-in UI anew: `python -m scripts.make_picture`.

Needs what the browser tests need. Starts a server of its own in a temporary folder.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

from tests.harness import HeadgateServer
from tests.harness.browser import Visitor, chromium
from tests.harness.filling import fill

PICTURE = Path(__file__).resolve().parents[1] / "docs" / "images" / "signed-in.png"
CURVES = ".js-plotly-plot .scatterlayer path.js-line"
AT_LEAST = 27  # nine runs with three metrics


def main() -> None:
    """Fill a server, look at its charts as Ada, keep what she sees."""
    with (
        tempfile.TemporaryDirectory() as folder,
        HeadgateServer(Path(folder) / "data") as server,
        chromium() as browser,
        Visitor(browser, server) as ada,
    ):
        server.wait_ready()
        made = fill(server)
        ada.sign_in(server.user("ada"))
        # MLflow's introduction to its assistant takes a third of the page.
        ada.page.get_by_role("button", name="Close", exact=True).click()
        ada.visit(f"/#/experiments/{made.experiment_id}/runs?compareRunsMode=CHART")
        ada.page.wait_for_function(f"document.querySelectorAll({CURVES!r}).length >= {AT_LEAST}")
        ada.picture(PICTURE)
        print(f"wrote {PICTURE}")


if __name__ == "__main__":
    main()
