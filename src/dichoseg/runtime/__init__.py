"""Devices, seeds, files, memory, threads and signals; independent of the rest of dichoseg."""
