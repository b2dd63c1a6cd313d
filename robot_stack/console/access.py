"""Who may use a page: whoever has the token. It comes in the address once, then stays in a cookie."""

from __future__ import annotations

import hmac
import secrets
from http.cookies import SimpleCookie
from urllib.parse import parse_qs, urlencode

from starlette.datastructures import Headers
from starlette.responses import PlainTextResponse, RedirectResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

COOKIE = "robot_stack_token"
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; media-src 'self' blob:; "
    "connect-src 'self'; manifest-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
"""Content security policy: nothing from elsewhere, nothing inline."""

HEADERS = {
    "content-security-policy": POLICY,
    "cache-control": "no-store",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
}
"""On every answer."""

REFUSAL = "open the address that the server printed when it started: it carries the token\n"


def new_token() -> str:
    """A token that nobody guesses: 128 random bits."""
    return secrets.token_urlsafe(16)


class TokenAccess:
    """ASGI middleware: lets requests through that carry the token, and hardens every answer.

    The token is taken from the cookie, from ``Authorization: Bearer``, or from ``?token=`` of a page, which sets the
    cookie and redirects to the address without it. The cookie is ``SameSite=Strict``: no other site can use it.

    Args:
        app: what is protected.
        token: who has it may use all of it.
    """

    def __init__(self, app: ASGIApp, token: str) -> None:
        self.app, self.token = app, token

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        harden = _hardened(send)
        headers = Headers(scope=scope)
        query = parse_qs(scope.get("query_string", b"").decode("latin-1"))
        offered = query.get("token", [""])[0]
        if scope["method"] == "GET" and self._right(offered):
            await self._admit(scope, query)(scope, receive, harden)
        elif self._right(_bearer(headers)) or self._right(_cookie(headers)):
            await self.app(scope, receive, harden)
        else:
            await PlainTextResponse(REFUSAL, status_code=401)(scope, receive, harden)

    def _right(self, offered: str) -> bool:
        return hmac.compare_digest(offered.encode(), self.token.encode())

    def _admit(self, scope: Scope, query: dict[str, list[str]]) -> RedirectResponse:
        rest = urlencode({k: v for k, v in query.items() if k != "token"}, doseq=True)
        response = RedirectResponse(scope["path"] + (f"?{rest}" if rest else ""), status_code=303)
        response.set_cookie(COOKIE, self.token, httponly=True, samesite="strict", max_age=7 * 24 * 3600)
        return response


def _bearer(headers: Headers) -> str:
    kind, _, token = headers.get("authorization", "").partition(" ")
    return token.strip() if kind.lower() == "bearer" else ""


def _cookie(headers: Headers) -> str:
    jar: SimpleCookie = SimpleCookie()
    try:
        jar.load(headers.get("cookie", ""))
    except Exception:  # a malformed cookie is no token
        return ""
    return jar[COOKIE].value if COOKIE in jar else ""


def _hardened(send: Send) -> Send:
    async def wrapped(message: Message) -> None:
        if message["type"] == "http.response.start":
            own = [(name.encode(), value.encode()) for name, value in HEADERS.items()]
            message["headers"] = [*message.get("headers", []), *own]
        await send(message)

    return wrapped
