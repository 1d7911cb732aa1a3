"""Grammars that constrain answers, compiled by llguidance: the implementation of the ports in `constraint`."""
