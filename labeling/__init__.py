"""Labels for a user's own table: SalutaryLabeler, and the command behind label.py."""
