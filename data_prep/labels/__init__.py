"""Ratings and labels: folders of them, agreement, fusion, delay."""
