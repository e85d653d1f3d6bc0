"""The papers' tables and figures, a readable study each."""
