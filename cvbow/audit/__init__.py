"""What is wrong with a set of labelled images: findings, each with a score, its images and what to do."""

from cvbow.audit.auditing import audit_images
from cvbow.audit.findings import COLUMNS, KINDS, SCORES, Audit, Finding

__all__ = ["COLUMNS", "KINDS", "SCORES", "Audit", "Finding", "audit_images"]
