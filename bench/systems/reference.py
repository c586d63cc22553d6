"""The reference: nginx with basic authentication in front of plain `mlflow server`.

The shape that most guides, and the sample that Headgate replaces, put in front of MLflow: one
name for everybody. nginx does as it does by default: a connection of its own to MLflow for
each request, uploads held back until they are whole.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from typing import ClassVar

from bench.processes import as_ourselves
from bench.systems.base import PASSWORD, USER, System
from tests.harness.waiting import free_port

# The body limit is lifted: with the sample's 5 MB no artifact of a real size would pass.
CONFIGURATION = """daemon off;
worker_processes 1;
pid {folder}/nginx.pid;
error_log {folder}/error.log;
{user}
events {{ worker_connections 1024; }}
http {{
  access_log {folder}/access.log;
  client_body_temp_path {folder}/body;
  proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi;
  scgi_temp_path {folder}/scgi;
  keepalive_timeout 5;
  client_max_body_size 0;
  server {{
    listen 127.0.0.1:{port};
    location /elb-status {{ access_log off; return 200; }}
    location / {{
      auth_basic "mlflow";
      auth_basic_user_file {folder}/htpasswd;
      proxy_pass http://127.0.0.1:{mlflow_port};
      proxy_set_header Host $http_host;
      proxy_set_header X-Real-IP $remote_addr;
      proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
      proxy_read_timeout 1200s;
    }}
  }}
}}
"""


class Reference(System):
    """nginx and `mlflow server --workers 4`."""

    name: ClassVar[str] = "reference"
    title: ClassVar[str] = "nginx + mlflow server"
    about: ClassVar[str] = (
        "nginx with basic auth (htpasswd, one worker) in front of `mlflow server --workers 4`: "
        "one shared name, no permissions; its job runner on, as it comes"
    )

    def prepare(self) -> None:
        """Write nginx's configuration and password file."""
        self._mlflow_port = free_port()
        inner = self.folder / "nginx"
        inner.mkdir(exist_ok=True)
        user = f"user {as_ourselves()};" if os.geteuid() == 0 else ""
        text = CONFIGURATION.format(
            folder=inner, user=user, port=self.port, mlflow_port=self._mlflow_port
        )
        (inner / "nginx.conf").write_text(text)
        subprocess.run(
            # -m: MD5-crypt, as in the sample. -i: the password from standard input.
            ["htpasswd", "-c", "-i", "-m", inner / "htpasswd", USER],
            input=PASSWORD.encode(),
            check=True,
            capture_output=True,
        )

    def launch(self) -> None:
        """MLflow first: nginx listens at once and would answer 502 meanwhile either way."""
        self._run_mlflow_server(self._mlflow_port)
        nginx = shutil.which("nginx", path=f"{os.environ['PATH']}:/usr/sbin")
        if nginx is None:
            raise FileNotFoundError("nginx is not installed (Debian: nginx)")
        folder = self.folder / "nginx"
        self._run(nginx, "-e", f"{folder}/error.log", "-p", str(folder), "-c", "nginx.conf")
