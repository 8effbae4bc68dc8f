"""Reports: self-contained HTML pages that open anywhere, without a network."""

from cvbow.report.audit import write_audit_report
from cvbow.report.comparison_plots import PLOTS, write_comparison_plots
from cvbow.report.evaluation import write_evaluation_report
from cvbow.report.front import write_front_plot
from cvbow.report.labels import write_labels_report
from cvbow.report.to_label import write_to_label_page

__all__ = [
    "PLOTS",
    "write_audit_report",
    "write_comparison_plots",
    "write_evaluation_report",
    "write_front_plot",
    "write_labels_report",
    "write_to_label_page",
]
