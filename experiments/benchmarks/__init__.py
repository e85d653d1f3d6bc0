"""What the README's performance table is made from; each prints ratios."""
