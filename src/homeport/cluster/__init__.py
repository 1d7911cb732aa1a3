"""Several machines: replicas of models on nodes, and the gateways' links to them. Never imported on one machine."""
