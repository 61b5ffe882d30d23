"""Reports of finished studies: tables for the terminal, plots, and one HTML file that needs nothing from elsewhere."""
