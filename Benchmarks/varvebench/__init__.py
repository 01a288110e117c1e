"""Varve beside its peers and the limits of the machine, in one run. Standard library only."""
