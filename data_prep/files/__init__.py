"""Files as they are: delimited text, wide CSV, ARFF, folders and clocks."""
