"""The version, in one place: packaging, the User-Agent and users read it here."""

__version__ = "0.1.0"
