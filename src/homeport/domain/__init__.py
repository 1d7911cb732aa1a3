"""Values that every room shares: requests, events, errors, model facts, ports. Imports no other room."""
