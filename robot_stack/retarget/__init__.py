"""Human motion, with its objects and terrain, becomes robot motion: interaction-mesh retargeting."""
