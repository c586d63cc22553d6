"""Every setting of Headgate, and where it comes from.

A setting is one field with a description in `server`, `database`, `auth` or `limits`; flags,
`HEADGATE_*` variables, keys of `headgate.toml`, help and reference pages are made from it.
Start at `load_settings`; `Settings(...)` alone reads neither environment nor file.
"""

from headgate.settings.loading import load_settings
from headgate.settings.model import GROUPS, Settings

__all__ = ["GROUPS", "Settings", "load_settings"]
