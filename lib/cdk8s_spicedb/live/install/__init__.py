"""The install of a SpiceDB, and its removal: what `helm install` and `helm uninstall` do, and what they leave open."""
