"""SpiceDB while it runs: in production, with TLS, NetworkPolicies and settings of the datastore."""
