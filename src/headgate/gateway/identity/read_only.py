"""What a read-only token may do: read. MLflow has searches that are POST; those read too.

Compared on the raw path, exactly; whatever is not listed is a write.
"""

from __future__ import annotations

from headgate.errors import forbidden
from headgate.gateway.request import Request

_PREFIXES = (b"/api/2.0/mlflow/", b"/ajax-api/2.0/mlflow/")
_PREFIXES_3 = (b"/api/3.0/mlflow/", b"/ajax-api/3.0/mlflow/")
_READS = (
    b"artifacts/presigned-download-url",
    b"experiments/search",
    b"experiments/search-datasets",
    b"logged-models/search",
    b"registered-models/get-latest-versions",
    b"runs/search",
)
_READS_3 = (
    b"datasets/search",
    b"issues/search",
    b"prompt-optimization/jobs/search",
    b"traces/batchGetInfos",
    b"traces/calculate-filter-correlation",
    b"traces/metrics",
    b"traces/search",
)
READING_POSTS = frozenset(
    {prefix + path for prefix in _PREFIXES for path in _READS}
    | {prefix + path for prefix in _PREFIXES_3 for path in _READS_3}
)


def check_read_only(request: Request) -> None:
    """Raise `ApiError` 403 if a read-only token asks for a change."""
    principal = request.principal
    if principal is None or not principal.read_only:
        return
    if request.method in ("GET", "HEAD", "OPTIONS"):
        return
    if request.method == "POST" and request.raw_path in READING_POSTS:
        return
    raise forbidden("This token is read-only.")
