"""What `memory.py` runs: problems that need a memory, nets that may have one, and the doctor who looks on."""
