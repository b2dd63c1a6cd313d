"""``robot-stack serve``: a policy in a process of its own, for robots here or on other machines."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro

from robot_stack.cli.parsing import Maybe, parse

if TYPE_CHECKING:
    from robot_stack.runtime.served_policy import ServedPolicy


@dataclass(frozen=True)
class ServeArgs:
    """Serve a policy bundle over websockets until Ctrl-C.

    Robots, and robot-stack sim --server, need the address and the token; their computer needs no torch.
    """

    bundle: Annotated[Path, tyro.conf.Positional]
    """Folder of the policy bundle."""

    host: str = "127.0.0.1"
    """Address to listen at; 0.0.0.0 lets other machines in, who still need the token."""

    port: int = 8400
    """Port to listen at; 0 for any that is free."""

    token_file: Maybe[Path] = None
    """Where the token is, or will be: made if it is missing. ~/.config/robot_stack/policy_server.token if left out."""

    device: str = "auto"
    """Where the policy runs: auto, cpu, cuda."""

    source: str = ""
    """Whose normaliser to use, if the policy has one per dataset: the name of the dataset of this robot."""

    another_model: bool = False
    """Accept a robot whose model hash is not that of training; all else must still agree."""

    max_clients: int = 16
    """Robots at once."""

    max_slots: int = 64
    """Episodes at once, of all robots together."""

    max_megabytes: int = 64
    """Longest message [MiB]."""


def run(arguments: list[str]) -> int:
    """Serve until interrupted."""
    args = parse(ServeArgs, arguments, "robot-stack serve")
    import signal

    from robot_stack.cli.eval import device_of
    from robot_stack.runtime.listening import open_socket
    from robot_stack.runtime.policy_server import PolicyServer, ServerConfig
    from robot_stack.runtime.token_file import USUAL, token_at

    config = ServerConfig(args.max_clients, args.max_slots, args.max_megabytes * 2**20)
    token_file = (args.token_file or USUAL).expanduser()
    token = token_at(token_file)
    with open_socket(args.host, args.port) as listener:
        policy = served_bundle(
            args.bundle, device=device_of(args.device), source=args.source, another_model=args.another_model
        )
        server = PolicyServer(policy, token, listener, config)
        signal.signal(signal.SIGTERM, lambda *_: server.stop())
        host, port = listener.getsockname()[:2]
        server.run(lambda: _announce(policy, host, port, token_file))
    return 0


def served_bundle(
    bundle: Path, *, device: str = "cpu", source: str = "", another_model: bool = False, name: str = ""
) -> ServedPolicy:
    """A policy bundle, loaded, checked and ready to be served.

    Args:
        bundle: folder of the bundle.
        device: where it runs.
        source: whose normaliser to use; policies with only one take no notice.
        another_model: accept robots with another model hash.
        name: what clients are told; the bundle's kind and hash when left out.

    Raises:
        BundleError: if the bundle is damaged.
        ConfigError: if the policy has several normalisers and no source was named.
    """
    from robot_stack.cli.subjects import load_driver
    from robot_stack.core.config_json import from_plain
    from robot_stack.core.embodiment import Embodiment
    from robot_stack.policies.bundle import bundle_info
    from robot_stack.runtime.served_policy import ServedPolicy

    trained = from_plain(Embodiment, bundle_info(bundle)["embodiment"])
    loaded, driver = load_driver(bundle, trained, device=device, source=source)
    cameras = tuple(loaded.policy.config.inputs.cameras)
    shown = name or f"{loaded.info['kind']} {loaded.info['policy_sha256'][:8]}"
    return ServedPolicy(shown, driver, trained, cameras, another_model)


def _announce(policy: ServedPolicy, host: str, port: int, token_file: Path) -> None:
    from rich.console import Console

    from robot_stack.console.serving import own_address
    from robot_stack.runtime.listening import LOOPBACK

    console = Console(highlight=False, soft_wrap=True)
    shown = own_address() if host in ("0.0.0.0", "::") else host
    if ":" in shown:
        shown = f"[{shown}]"
    console.print(f"serving {policy.name} for {policy.embodiment.name}", markup=False)
    console.print(f"url    ws://{shown}:{port}", markup=False)
    console.print(f"token  {token_file}", markup=False)
    if host in LOOPBACK:
        console.print("only this machine reaches it; robots elsewhere need --host 0.0.0.0 and a network you trust")
    else:
        console.print("the network is not encrypted: use one you trust, and copy the token's file to the robot")
