"""How each kind of robot is deployed; one file a robot."""
