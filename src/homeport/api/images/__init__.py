"""The image endpoints: generations, edits, variations, and the pictures that their answers name by URL."""
