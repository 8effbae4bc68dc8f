"""Reports: self-contained HTML pages that open anywhere, without a network."""

from cvbow.report.evaluation import write_evaluation_report

__all__ = ["write_evaluation_report"]
