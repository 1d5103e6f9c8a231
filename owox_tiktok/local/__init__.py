"""Emulators that run on this machine, so that nothing outside is needed to try the project."""
