"""Network interfaces of this machine."""

from __future__ import annotations

import fcntl
import socket
import struct

from robot_stack.core.errors import ConfigError, require_name

_SIOCGIFADDR = 0x8915


def ipv4_address(interface: str) -> str:
    """The IPv4 address of an interface, as ``"192.168.123.162"``.

    Args:
        interface: its name, as ``ip address`` shows it.

    Raises:
        UnknownNameError: if there is no such interface; those that there are are listed.
        ConfigError: if it has no address.
    """
    names = [name for _, name in socket.if_nameindex()]
    require_name("network interface", interface, names)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
        try:
            answer = fcntl.ioctl(asking.fileno(), _SIOCGIFADDR, struct.pack("256s", interface.encode()[:15]))
        except OSError as error:
            raise ConfigError(
                f"network interface {interface!r} has no IPv4 address",
                remedy="plug the cable in and give it an address in the robot's network, as the robot's page says",
            ) from error
    return socket.inet_ntoa(answer[20:24])
