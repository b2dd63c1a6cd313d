"""The evaluators' page of blind trials."""
