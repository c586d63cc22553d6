"""Running MLflow behind the gateway; never imports it.

Start at `Supervisor` (supervise.py): it migrates (migrate.py), launches (launch.py) and watches
an MLflow of its own. `RemoteUpstream` is one that somebody else runs.
"""

from headgate.upstream.folder import DataFolder
from headgate.upstream.migrate import Plan, migrate, plan
from headgate.upstream.remote import RemoteUpstream
from headgate.upstream.supervise import Supervisor

__all__ = ["DataFolder", "Plan", "RemoteUpstream", "Supervisor", "migrate", "plan"]
