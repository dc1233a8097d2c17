"""Every room's tables, for Alembic to compare with."""

import app.calls.models
import app.credentials.models
import app.dashboard.models
import app.devices.models
import app.events.models
import app.push.models
import app.tenants.models  # noqa: F401
