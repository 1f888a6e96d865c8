"""What a file would change in a cluster, and what that means."""
