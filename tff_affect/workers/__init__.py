"""Workers: what runs where the data are, and what describes it to the driver."""
