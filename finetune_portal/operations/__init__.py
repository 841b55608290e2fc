"""Operations: backup, restore, the supervisor of `manage.py up`, metrics and readiness."""
