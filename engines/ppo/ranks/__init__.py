"""Where the processes of a training live: actors of a private Ray, or the driver itself."""
