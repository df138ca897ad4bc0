"""`python -m thalweg.cli`."""

from thalweg.cli import app

if __name__ == "__main__":
    app()
