"""From actions to joint commands: action modes and controllers."""
