"""Tests of the bench: what it computes and writes, and one short run of the real thing."""
