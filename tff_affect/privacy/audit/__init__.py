"""Attacks on what privacy claims: who can be recognised, found, rebuilt, and how much noise there really is."""
