"""Tokens in files, so that they stand in no process list and no shell history."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

from robot_stack.core.errors import ConfigError, StorageError

USUAL = Path("~/.config/robot_stack/policy_server.token")
"""Where the policy server's token is, unless somebody says otherwise."""


def read_token(path: Path) -> str:
    """The token in a file.

    Raises:
        ConfigError: if there is none.
    """
    file = path.expanduser()
    try:
        token = file.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(
            "there is no token here",
            where=file,
            got=str(error),
            remedy="copy the policy server's file, readable by you",
        ) from error
    if not token or any(not c.isprintable() or c.isspace() for c in token):
        raise ConfigError("a token file holds one word", where=file)
    return token


def token_at(path: Path) -> str:
    """The token in a file; a new one of 128 random bits, readable by its owner only, if there is no file.

    Raises:
        ConfigError: if the file holds no token.
        StorageError: if it cannot be written.
    """
    file = path.expanduser()
    if file.exists():
        return read_token(file)
    token = secrets.token_urlsafe(16)
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(file, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as out:
            out.write(token + "\n")
    except FileExistsError:  # another server made it just now
        return read_token(file)
    except OSError as error:
        raise StorageError("the token cannot be stored", where=file, got=str(error)) from error
    return token
