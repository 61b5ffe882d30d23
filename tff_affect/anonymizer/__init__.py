"""Faces without their owners: images that keep the emotion and lose the person."""
