"""LocoMan's modes: stance, manipulation with a gripper, a foot or both grippers, trot, and the machine between them."""
