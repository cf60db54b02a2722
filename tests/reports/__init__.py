"""Public reports of people who do this job, each held by a test."""
