"""What Ray does for a cluster: it starts nodes, places, restarts and scales replicas, and says where they are.

Only these modules import Ray. Requests and their events do not pass through it.
"""
