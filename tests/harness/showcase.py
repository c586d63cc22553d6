"""Fills a tracking server with what a small team would have in it after a week.

Run as a program, with MLflow's variables set: `python -m tests.harness.showcase`. Its
last line is JSON with the ids that a test needs. The same numbers come out each time.
"""

from __future__ import annotations

import json
import logging
import math
import random
import time
import warnings
from dataclasses import asdict, dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

import matplotlib as mpl
import mlflow
import numpy as np
import pandas as pd
from mlflow.entities import Metric, Param, RunTag
from sklearn.linear_model import LogisticRegression

EXPERIMENT = "churn-forecast"
MODEL = "churn-forecast"
PROMPT = "explain-churn"
STEPS = 60
SWEEP = [(learning_rate, depth) for depth in (4, 6, 8) for learning_rate in (0.3, 0.1, 0.03)]
HTML_REPORT = """<!doctype html><html><head><style>h1 {{ color: #0b6bb8 }}</style></head><body>
<h1>Churn report</h1><p id="result">the script did not run</p>
<script>document.getElementById("result").textContent = "best AUC {auc:.3f}";</script>
</body></html>"""
SVG = """<svg xmlns="http://www.w3.org/2000/svg" width="200" height="120">
<polyline points="10,110 40,60 90,30 190,12" fill="none" stroke="#0b6bb8" stroke-width="3"/>
</svg>"""


@dataclass
class Showcase:
    """What was made."""

    experiment_id: str
    best_run_id: str
    run_ids: list[str] = field(default_factory=list)
    trace_ids: list[str] = field(default_factory=list)


def main() -> None:
    """Make everything, print the ids."""
    warnings.simplefilter("ignore")
    logging.getLogger("mlflow").setLevel(logging.ERROR)
    mpl.use("Agg")
    experiment_id = mlflow.create_experiment(EXPERIMENT, tags={"team": "retention"})
    mlflow.set_experiment(experiment_id=experiment_id)
    run_ids = [_train(number, *choice) for number, choice in enumerate(SWEEP)]
    made = Showcase(experiment_id, best_run_id=run_ids[4], run_ids=run_ids)
    _add_artifacts(made.best_run_id)
    _register_model(made.best_run_id)
    _add_prompt()
    made.trace_ids = _trace()
    # MLflow's client prints addresses too; the ids are the last line.
    print("\n" + json.dumps(asdict(made)))


def _train(number: int, learning_rate: float, depth: int) -> str:
    """One run of the sweep, with curves as gradient boosting draws them."""
    chance = random.Random(number)
    client = mlflow.MlflowClient()
    experiment = mlflow.get_experiment_by_name(EXPERIMENT)
    began = int((time.time() - 3600 * (len(SWEEP) - number)) * 1000)
    run = client.create_run(
        experiment.experiment_id,
        start_time=began,
        run_name=f"depth-{depth}-lr-{learning_rate}",
        tags={"mlflow.user": "ada", "mlflow.source.name": "train.py", "stage": "sweep"},
    )
    metrics = []
    floor = 0.31 + abs(depth - 6) * 0.02 + abs(math.log10(learning_rate / 0.1)) * 0.04
    for step in range(STEPS):
        progress = 1 - math.exp(-step * (0.03 + learning_rate / 3))
        train = 0.69 - (0.69 - floor + 0.06) * progress + chance.gauss(0, 0.004)
        over = max(0, step - 35) * 0.0012 * (depth / 6) * (learning_rate / 0.1) ** 0.5
        val = 0.69 - (0.69 - floor) * progress + over + chance.gauss(0, 0.006)
        auc = 0.5 + (0.93 - floor / 4 - 0.5) * progress - over / 3 + chance.gauss(0, 0.003)
        moment = began + step * 20_000
        metrics += [
            Metric("train_loss", train, moment, step),
            Metric("val_loss", val, moment, step),
            Metric("val_auc", auc, moment, step),
        ]
    client.log_batch(
        run.info.run_id,
        metrics=metrics,
        params=[
            Param("learning_rate", str(learning_rate)),
            Param("max_depth", str(depth)),
            Param("n_estimators", str(STEPS)),
            Param("objective", "binary:logistic"),
        ],
        tags=[RunTag("dataset", "customers-2026-10")],
    )
    client.set_terminated(run.info.run_id, end_time=began + STEPS * 20_000)
    return str(run.info.run_id)


def _add_artifacts(run_id: str) -> None:
    """One of each kind that MLflow's viewer shows in its own way."""
    from matplotlib import pyplot

    with mlflow.start_run(run_id=run_id):
        mlflow.set_tag("mlflow.note.content", "# Best of the sweep\nSee `report.html`.")
        mlflow.log_text("Threshold 0.42 chosen on the validation set.\n", "notes.txt")
        mlflow.log_text(HTML_REPORT.format(auc=0.861), "report.html")
        mlflow.log_text(SVG, "roc.svg")
        mlflow.log_text("# Model card\n\nFor **retention** calls only.\n", "card.md")
        mlflow.log_dict({"threshold": 0.42, "classes": ["stays", "leaves"]}, "config.json")
        mlflow.log_dict({"threshold": 0.42, "classes": ["stays", "leaves"]}, "config.yaml")
        figure, axes = pyplot.subplots(figsize=(4, 3))
        axes.plot([0, 0.1, 0.4, 1], [0, 0.62, 0.9, 1])
        axes.set_title("ROC")
        mlflow.log_figure(figure, "roc.png")
        mlflow.log_figure(figure, "roc.pdf")
        pyplot.close(figure)
        mlflow.log_table({"customer": ["a", "b"], "risk": [0.9, 0.2]}, "risks.json")
        with TemporaryDirectory() as folder:
            table = Path(folder, "risks.csv")
            table.write_text("customer,risk\na,0.9\nb,0.2\n")
            mlflow.log_artifact(str(table))
        frame = pd.DataFrame({"tenure": [1, 20], "leaves": [1, 0]})
        mlflow.log_input(mlflow.data.from_pandas(frame, name="customers-2026-10"), "training")


def _register_model(run_id: str) -> None:
    inputs = np.array([[1.0, 2.0], [20.0, 0.0], [3.0, 4.0], [40.0, 1.0]])
    model = LogisticRegression().fit(inputs, [1, 0, 1, 0])
    with mlflow.start_run(run_id=run_id):
        for _ in range(2):
            mlflow.sklearn.log_model(
                model,
                name="model",
                input_example=inputs[:1],
                registered_model_name=MODEL,
                pip_requirements=["scikit-learn"],
            )
    client = mlflow.MlflowClient()
    client.set_registered_model_alias(MODEL, "champion", "1")
    client.set_registered_model_alias(MODEL, "challenger", "2")
    client.update_registered_model(MODEL, description="Who will leave within 30 days?")


def _add_prompt() -> None:
    for tone in ("kindly", "in one sentence"):
        mlflow.genai.register_prompt(
            name=PROMPT, template=f"Explain {tone} why {{{{customer}}}} may leave."
        )


def _trace() -> list[str]:
    """Questions to an assistant, each with a search and an answer."""
    ids = []
    for customer in ("a", "b", "c"):
        with mlflow.start_span("explain", span_type="AGENT") as root:
            root.set_inputs({"question": f"Why may customer {customer} leave?"})
            with mlflow.start_span("search", span_type="RETRIEVER") as span:
                span.set_inputs({"query": f"customer {customer}"})
                span.set_outputs([{"page_content": "Three complaints in May.", "metadata": {}}])
            with mlflow.start_span("answer", span_type="LLM") as span:
                span.set_inputs({"messages": [{"role": "user", "content": "Why?"}]})
                span.set_outputs({"content": "Because of the complaints."})
            root.set_outputs({"answer": "Because of the complaints."})
            ids.append(root.trace_id)
    mlflow.flush_trace_async_logging()
    return ids


if __name__ == "__main__":
    main()
