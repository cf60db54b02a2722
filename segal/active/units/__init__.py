"""What a query asks for, what it costs and what a budget pays."""
