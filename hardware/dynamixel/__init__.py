"""DYNAMIXEL servos over protocol 2.0: packets, a serial line, a group of servos, and an emulator on a pseudo-terminal.

Facts come from the maker's manual, https://emanual.robotis.com/docs/en/dxl/protocol2/ and
https://emanual.robotis.com/docs/en/dxl/x/xc330-t288/.
"""
