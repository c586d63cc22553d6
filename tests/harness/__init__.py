"""What the tests that need real processes share.

`server.HeadgateServer` owns one running Headgate; `databases` runs private PostgreSQL and
MariaDB servers; `client.mlflow_as` points MLflow's own client at a server as somebody;
`wire` sends bytes that no well-behaved client would. The fixtures are in tests/conftest.py.
"""

from tests.harness.server import Answer, HeadgateServer, User
from tests.harness.waiting import eventually, free_port

__all__ = ["Answer", "HeadgateServer", "User", "eventually", "free_port"]
