"""One module or folder per way of painting. They know the seam (`painter`) and not each other."""
