"""What paid acts cost: estimates, bills, budgets, approvals."""
