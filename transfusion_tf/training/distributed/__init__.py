"""What only many hosts need: how they meet, and how they stay in step."""
