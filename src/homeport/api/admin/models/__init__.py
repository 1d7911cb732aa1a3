"""`/admin/v1/models`: an operator's view of models, and the jobs that change them."""
