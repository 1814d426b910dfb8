"""The version of hashret, which every file may ask without the package's other names."""

__version__ = "0.1.0"
