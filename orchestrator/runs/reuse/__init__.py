"""What has been done in another run of the same folder is taken from there."""
