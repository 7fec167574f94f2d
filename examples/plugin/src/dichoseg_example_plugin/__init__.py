"""Example plugin for dichoseg: one part of each kind, and a published network."""
