"""Lets the tests of this folder share random_problems.py."""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parent))
