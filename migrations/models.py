"""Every room's tables, for Alembic to compare with."""

import app.audit.models
import app.calls.models
import app.credentials.models
import app.dashboard.models
import app.devices.models
import app.events.models
import app.infra.leases
import app.push.models
import app.tenants.models
import app.users.models
import app.webhooks.models  # noqa: F401
