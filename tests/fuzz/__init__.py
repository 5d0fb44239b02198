"""Hostile bytes against every parser that meets them.

`targets` says what is parsed and what may be raised; the tests feed it from Hypothesis, and
`python -m tests.fuzz` (`make fuzz`) from atheris, which follows the code that each input reaches.
"""

from typing import Final

#: A target with a defect in it, to see that a defect is found.
PLANTED: Final = "planted"
