"""The lab: a real Kubernetes and the reference platform on one Linux machine, without Docker."""
