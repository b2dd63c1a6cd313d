"""Samplers: how the predictions of a denoising network become action chunks."""
