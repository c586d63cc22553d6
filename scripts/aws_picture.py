"""Draws docs/images/aws.svg: what the three stacks make, and who talks to whom.

`NAMES` are names as the templates have them; a test looks each of them up there. Run by
`make docs`. Start at `picture`.
"""

from __future__ import annotations

from collections.abc import Iterator
from html import escape

WIDTH, HEIGHT = 1240, 712

# What is drawn by its name in AWS.
NAMES = (
    "mlflow-api",
    "http-api-vpclink",
    "httpapiInternalALB",
    "httpapiListener",
    "mlflowServiceTargetGroup",
    "mlflowCluster",
    "mlflowService",
    "nginxContainer",
    "gatewayContainer",
    "mlflowContainer",
    "migrateContainer",
    "mlflowService-cluster",
    "mlflowdb",
    "mlflow-server-credentials",
    "/ecs/mlflowService",
    "mlflow-user",
    "MLFlowVPC",
)

INK, MUTED, LINE = "#1f2933", "#52606d", "#3e4c59"
STACK, ZONE, BOX, DATA, EDGE = "#f5f7fa", "#e4eef7", "#ffffff", "#fdf6e3", "#e6f4ea"


def picture() -> str:
    """The whole drawing."""
    return "\n".join(_lines()) + "\n"


def _lines() -> Iterator[str]:
    yield (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" '
        f'width="{WIDTH}" height="{HEIGHT}" role="img" '
        'font-family="system-ui, Segoe UI, Helvetica, Arial, sans-serif">'
    )
    yield "<title>Headgate on AWS: three stacks</title>"
    yield (
        '<defs><marker id="arrow" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" '
        f'markerHeight="7" orient="auto"><path d="M0 0L8 4L0 8z" fill="{LINE}"/></marker></defs>'
    )
    yield f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#ffffff"/>'
    yield from _people()
    yield from _gateway()
    yield from _vpc()
    yield from _regional()
    yield from _arrows()
    yield "</svg>"


def _people() -> Iterator[str]:
    yield from _box(20, 60, 210, 62, "Browser", "sign-in page, session", fill=BOX)
    yield from _box(20, 150, 210, 62, "MLflow clients", "name and password, token", fill=BOX)
    yield from _stack(20, 270, 210, 170, "SageMakerStudioUserStack")
    yield from _box(34, 310, 182, 52, "Studio domain", "new, or yours", fill=BOX)
    yield from _box(34, 374, 182, 52, "mlflow-user", "own execution role", fill=BOX)
    yield from _box(20, 500, 210, 82, "headgate aws deploy", *_DEPLOY, fill=BOX)


_DEPLOY = ("images into ECR: headgate/…", "then cdk, with their digests")


def _gateway() -> Iterator[str]:
    yield from _stack(290, 36, 180, 200, "HttpGatewayStack")
    yield from _box(306, 76, 148, 66, "HTTP API", "mlflow-api", "10 MB, 30 s, throttled", fill=EDGE)
    yield from _box(306, 162, 148, 56, "VPC link", "http-api-vpclink", fill=EDGE)


def _vpc() -> Iterator[str]:
    yield from _stack(530, 36, 690, 650, "MLflowVpcStack")
    yield from _zone(550, 72, 440, 594, "MLFlowVPC, two zones")
    yield from _zone(566, 102, 408, 66, "public subnets /24", fill="#ffffff")
    yield from _box(720, 112, 150, 46, "NAT gateway", "nat = gateway", fill=BOX)
    yield from _zone(566, 180, 408, 362, "private subnets /26", fill="#ffffff")
    yield from _box(
        580, 212, 380, 62, "Application Load Balancer",
        "httpapiInternalALB, httpapiListener",
        "mlflowServiceTargetGroup: HTTPS, /elb-status", fill=EDGE,
    )  # fmt: skip
    yield from _zone(
        580, 296, 380, 234, "mlflowCluster / mlflowService: 2 to 6 Fargate tasks", fill=STACK
    )
    yield from _box(594, 326, 170, 56, "nginxContainer", "TLS on 8443, size limits", fill=BOX)
    yield from _box(594, 398, 170, 56, "gatewayContainer", "loopback; who are you?", fill=BOX)
    yield from _box(594, 466, 170, 54, "mlflowContainer", "real MLflow, Unix socket", fill=BOX)
    yield from _box(792, 326, 154, 56, "migrateContainer", "first, then gone", fill=BOX)
    yield from _zone(566, 554, 408, 100, "isolated subnets /28", fill="#ffffff")
    yield from _box(
        640, 580, 260, 62, "Aurora Serverless v2", "mlflowService-cluster, mlflowdb",
        "TLS only, pauses when idle", fill=DATA,
    )  # fmt: skip


def _regional() -> Iterator[str]:
    yield from _box(
        1010, 110, 192, 66, "S3", "mlflow-ACCOUNT-REGION", "versioned, kept on destroy", fill=DATA
    )
    yield from _box(
        1010, 206, 192, 84, "Secrets Manager", "mlflow-server-credentials",
        "database user, session key;", "the master's: RDS rotates it", fill=DATA,
    )  # fmt: skip
    yield from _box(
        1010, 320, 192, 66, "CloudWatch", "/ecs/mlflowService", "alarms, dashboard", fill=BOX
    )


def _arrows() -> Iterator[str]:
    yield from _arrow([(230, 91), (306, 91)])
    yield _text(240, 84, "HTTPS", size=11, fill=MUTED)
    yield from _arrow([(230, 181), (268, 181), (268, 109), (306, 109)])
    yield from _arrow([(125, 270), (125, 244), (280, 244), (280, 127), (306, 127)])
    yield from _arrow([(380, 142), (380, 162)])
    yield from _arrow([(454, 190), (500, 190), (500, 243), (580, 243)])
    yield _text(398, 254, "HTTP;", size=11, fill=MUTED)
    yield _text(398, 268, "with a domain HTTPS", size=11, fill=MUTED)
    yield from _arrow([(679, 274), (679, 326)], "HTTPS")
    yield from _arrow([(679, 382), (679, 398)])
    yield from _arrow([(679, 454), (679, 466)])
    yield from _arrow([(764, 426), (780, 426), (780, 580)])
    yield from _arrow([(730, 520), (730, 580)])
    yield from _arrow([(890, 382), (890, 580)])
    yield from _arrow([(960, 400), (988, 400), (988, 143), (1010, 143)])
    yield from _arrow([(988, 248), (1010, 248)])
    yield from _arrow([(988, 353), (1010, 353)])
    yield _text(790, 500, "TLS, passwords", size=11, fill=MUTED)
    yield _text(790, 514, "that rotate", size=11, fill=MUTED)


def _stack(x: int, y: int, width: int, height: int, title: str) -> Iterator[str]:
    yield (
        f'<rect x="{x}" y="{y}" width="{width}" height="{height}" rx="8" fill="{STACK}" '
        f'stroke="{LINE}" stroke-dasharray="6 4"/>'
    )
    yield _text(x + 12, y + 22, title, size=12, weight=600)


def _zone(
    x: int, y: int, width: int, height: int, title: str, *, fill: str = ZONE
) -> Iterator[str]:
    yield (
        f'<rect x="{x}" y="{y}" width="{width}" height="{height}" rx="6" fill="{fill}" '
        'stroke="#9fb3c8"/>'
    )
    yield _text(x + 10, y + 19, title, size=12, fill=MUTED)


def _box(
    x: int, y: int, width: int, height: int, title: str, *lines: str, fill: str
) -> Iterator[str]:
    yield (
        f'<rect x="{x}" y="{y}" width="{width}" height="{height}" rx="5" fill="{fill}" '
        f'stroke="{LINE}"/>'
    )
    top = y + (height - 15 * (len(lines) + 1)) // 2 + 12
    yield _text(x + 10, top, title, size=13, weight=600)
    for number, line in enumerate(lines, start=1):
        yield _text(x + 10, top + 15 * number, line, size=11, fill=MUTED)


def _arrow(points: list[tuple[int, int]], label: str = "", *, at: int = 0) -> Iterator[str]:
    path = " ".join(f"{x},{y}" for x, y in points)
    yield (
        f'<polyline points="{path}" fill="none" stroke="{LINE}" stroke-width="1.4" '
        'marker-end="url(#arrow)"/>'
    )
    if label:
        (x, y), (to_x, to_y) = points[at], points[at + 1]
        yield _text((x + to_x) // 2 + 6, (y + to_y) // 2 - 4, label, size=11, fill=MUTED)


def _text(x: int, y: int, text: str, *, size: int, weight: int = 400, fill: str = INK) -> str:
    return (
        f'<text x="{x}" y="{y}" font-size="{size}" font-weight="{weight}" fill="{fill}">'
        f"{escape(text)}</text>"
    )
