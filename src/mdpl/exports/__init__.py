"""Runs handed to the community's own exams: CalLMIP and modelevaluation.org."""
