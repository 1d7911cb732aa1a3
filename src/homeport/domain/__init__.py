"""The words every room shares: requests, events, errors, model facts and ports. Imports no other room."""
