"""Makes MLflow's tables in the database at BENCH_STORE_URI; a process of its own.

The benchmark itself never imports mlflow: it takes seconds and hundreds of megabytes.
"""

from __future__ import annotations

import os

from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

if __name__ == "__main__":
    SqlAlchemyStore(os.environ["BENCH_STORE_URI"], "mlflow-artifacts:/")
