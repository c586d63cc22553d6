"""The load generators: `wrk` for requests, `transfer` for one large file at a time."""
