"""What the fake Google knows: its accounts, and which registration tokens live."""

from dataclasses import dataclass, replace

from devkit.simulator.google.accounts import Accounts
from devkit.simulator.google.answers import Refusal
from devkit.simulator.google.rules import check_token


@dataclass(frozen=True, slots=True)
class Registration:
    """One app instance. `project` None: any. What is `gone` was uninstalled, say."""

    token: str
    project: str | None = None
    gone: bool = False
    online: bool = True


class Google:
    """Accounts and registrations; arrivals and faults are the simulator's."""

    def __init__(self) -> None:
        self.accounts = Accounts()
        self._registrations: dict[str, Registration] = {}

    def live(self, *tokens: str, project: str | None = None) -> None:
        """Make tokens live, for one project (None: any)."""
        for token in tokens:
            self._registrations[token] = Registration(token, project)

    def gone(self, token: str) -> None:
        """Let a token be unregistered."""
        known = self._registrations.get(token, Registration(token))
        self._registrations[token] = replace(known, gone=True)

    def set_online(self, token: str, *, online: bool) -> None:
        """Switch a phone off or on; KeyError when the token is not known."""
        self._registrations[token] = replace(self._registrations[token], online=online)

    def clear(self) -> None:
        """Forget all registrations; accounts stay."""
        self._registrations.clear()

    def find(self, token: str, project: str, *, accept_unknown: bool) -> Registration:
        """Give the phone of a message, or raise Refusal as Google would."""
        check_token(token)
        found = self._registrations.get(token)
        if found is None and accept_unknown:
            return Registration(token)
        if found is None or found.gone:
            raise Refusal("UNREGISTERED")
        if found.project not in (None, project):
            raise Refusal("SENDER_ID_MISMATCH")
        return found
