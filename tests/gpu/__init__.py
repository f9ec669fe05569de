"""Tests that compute on a GPU; `make test-gpu` runs them."""

DEVICE_VARIABLE = "HEADSTART_TEST_DEVICE"
"""In the environment, the device to run them on instead of "cuda"."""
