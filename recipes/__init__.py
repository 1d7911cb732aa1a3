"""What was trained for Homeport: programs and data, beside the program itself, never imported by it."""
