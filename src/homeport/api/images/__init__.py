"""The image endpoints: generations, edits, variations, and the images that answers name by URL."""
