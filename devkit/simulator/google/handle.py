"""The part of the handle that is about Google: accounts, and who is registered."""

from devkit.simulator.google.accounts import Account
from devkit.simulator.remote import Remote


class OfGoogle(Remote):
    """Accounts and registration tokens; what arrived is listed with all else."""

    @property
    def fcm_url(self) -> str:
        """`https://localhost:PORT`, for RINGLINE_FCM_URL."""
        return self._server.fcm_url

    @property
    def google_token_url(self) -> str:
        """For RINGLINE_GOOGLE_TOKEN_URL; what files say as their `token_uri`."""
        return self._server.google_token_url

    def google_account(self, project_id: str = "demo-project") -> Account:
        """Make a service account; its `json` is the file that its owner downloads."""
        url = self._server.google_token_url
        return self._do(lambda apple: apple.google.accounts.make(project_id, url))

    def change_account(
        self, email: str, *, disabled: bool | None = None, may_send: bool | None = None
    ) -> None:
        """Disable an account, or take away its role, or give these back."""
        self._do(
            lambda apple: apple.google.accounts.change(email, disabled=disabled, may_send=may_send)
        )

    def end_access_tokens(self) -> None:
        """Let every access token end now."""
        self._do(lambda apple: apple.google.accounts.end_access())

    def set_access_token_life(self, seconds: object) -> None:
        """How long access tokens are good that are given from now on."""
        self._do(lambda apple: setattr(apple.google.accounts, "lives", seconds))

    def fcm_live(self, *tokens: str, project: str | None = None) -> None:
        """Make registration tokens live, for one project (None: any)."""
        self._do(lambda apple: apple.google.live(*tokens, project=project))

    def fcm_gone(self, token: str) -> None:
        """Let a token be unregistered: 404 UNREGISTERED."""
        self._do(lambda apple: apple.google.gone(token))

    def fcm_online(self, token: str, *, online: bool) -> None:
        """Switch a phone off or on; off, messages are kept for their `ttl`."""
        self._do(lambda apple: apple.set_registration_online(token, online=online))
