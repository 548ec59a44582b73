"""Trials of `memory.py`: problems that need memory, nets, and examinations during training."""
