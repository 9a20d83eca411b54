"""The version, for who says it before anything heavy is loaded: importlib.metadata takes longer than a greeting."""

from typing import Final

VERSION: Final = "0.1.0"
