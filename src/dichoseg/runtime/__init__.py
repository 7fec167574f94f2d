"""Ground floor: devices, seeds, files, memory, threads and signals. Nothing in it knows the rest of dichoseg."""
