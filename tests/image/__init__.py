"""Tests of the machine image; `make image-test` bakes it first."""
