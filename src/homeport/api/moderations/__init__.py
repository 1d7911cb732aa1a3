"""`/v1/moderations`, in the API of 2023 and of today."""
