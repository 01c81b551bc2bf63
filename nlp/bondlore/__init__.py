"""Which causal story bond-market news pushes for the move in Treasury yields."""

__version__ = "0.1.0"
