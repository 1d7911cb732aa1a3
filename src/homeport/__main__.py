"""`python -m homeport`: the same as the command `homeport`."""

from homeport.cli import main

if __name__ == "__main__":
    main()
