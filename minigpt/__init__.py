"""minigpt: the tested package that the chapters of the course become."""
