"""What lies in the folder of a checkpoint, whoever wrote it: headers, weights, names, formats."""
