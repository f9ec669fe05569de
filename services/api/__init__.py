"""The REST API: requests in, jobs and their shards out."""
