"""LocoMan's electronics: a Go1's legs over UDP and two manipulators of four servos each, as one joint bus."""
