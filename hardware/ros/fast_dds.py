"""Profiles for Fast DDS: what its defaults do not carry, as the XML file that it reads when a process starts.

The default shared-memory segment, 512 kB, is smaller than one 640×480 image (921 kB): images then go in pieces over
UDP, whose receive buffer, 212 kB, overflows, and best-effort subscribers see a fraction of them
(``benchmarks/ros_images.py``). A segment of 16 MB carries a dozen and more.
"""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path
from xml.sax.saxutils import escape

from robot_stack.core.atomic import write_text
from robot_stack.core.errors import ConfigError

SEGMENT_BYTES = 16 * 2**20
"""Of shared memory, per process [byte]."""

SHIPPED = Path(__file__).parent / "assets" / "fastdds.xml"
"""The default profile as a file, for ``FASTDDS_DEFAULT_PROFILES_FILE`` of processes that somebody starts by hand."""

_TEMPLATE = """<?xml version="1.0" encoding="UTF-8"?>
<!-- robot_stack: shared memory large enough for images. Written by robot_stack.hardware.ros.fast_dds. -->
<dds xmlns="http://www.eprosima.com">
  <profiles>
    <transport_descriptors>
      <transport_descriptor>
        <transport_id>robot_stack_shm</transport_id>
        <type>SHM</type>
        <segment_size>{segment}</segment_size>
      </transport_descriptor>
      <transport_descriptor>
        <transport_id>robot_stack_udp</transport_id>
        <type>UDPv4</type>{interfaces}
      </transport_descriptor>
    </transport_descriptors>
    <participant profile_name="robot_stack" is_default_profile="true">
      <rtps>
        <userTransports>
          <transport_id>robot_stack_shm</transport_id>
          <transport_id>robot_stack_udp</transport_id>
        </userTransports>
        <useBuiltinTransports>false</useBuiltinTransports>{properties}
      </rtps>
    </participant>
  </profiles>
</dds>
"""
_INTERFACES = """
        <interfaceWhiteList>
{addresses}
        </interfaceWhiteList>"""
_NO_TYPES = """
        <propertiesPolicy>
          <properties>
            <property>
              <name>fastdds.type_propagation</name>
              <value>disabled</value>
            </property>
          </properties>
        </propertiesPolicy>"""


@dataclass(frozen=True)
class FastDdsProfile:
    """How Fast DDS is to behave in all processes of a deployment."""

    interfaces: tuple[str, ...] = ()
    """IPv4 addresses of the network interfaces to use; empty for all. Loopback must be named, too, if it is wanted."""

    type_propagation: bool = True
    """Tell others what our types look like. Cyclone DDS 0.10, which Unitree's robots run, only matches without."""

    segment_bytes: int = SEGMENT_BYTES
    """Shared memory of each process [byte]."""

    def __post_init__(self) -> None:
        if self.segment_bytes < 2**19:
            raise ConfigError(
                "a segment smaller than Fast DDS's own", got=self.segment_bytes, expected="at least 524288"
            )

    def xml(self) -> str:
        """The profile as Fast DDS reads it."""
        addresses = "\n".join(f"          <address>{escape(a)}</address>" for a in self.interfaces)
        return _TEMPLATE.format(
            segment=self.segment_bytes,
            interfaces=_INTERFACES.format(addresses=addresses) if self.interfaces else "",
            properties="" if self.type_propagation else _NO_TYPES,
        )

    def file(self) -> Path:
        """A file with the profile: the shipped one, or one in the user's cache that is written if it is not there.

        Raises:
            StorageError: if the cache cannot be written.
        """
        if self == FastDdsProfile():
            return SHIPPED
        text = self.xml()
        root = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "robot_stack" / "fast_dds"
        path = root / f"{hashlib.sha256(text.encode()).hexdigest()[:16]}.xml"
        if not path.is_file():
            write_text(path, text)
        return path
