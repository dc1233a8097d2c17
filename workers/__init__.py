"""The Celery side only: the app, one asyncio loop per process, and tasks of a few lines."""
