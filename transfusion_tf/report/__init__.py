"""Run directories to tables, figures and one page."""

from transfusion_tf.report.comparison_page import (
    Comparison,
    Side,
    score_text,
    write_comparison,
)
from transfusion_tf.report.first_layer import FirstLayer
from transfusion_tf.report.html import write_report
from transfusion_tf.report.paper_page import write_paper_page
from transfusion_tf.report.records import (
    ChapterRecord,
    Run,
    StudyRecord,
    Unfinished,
    read_study,
)
from transfusion_tf.report.results import Cell, Panel, Results, collect
from transfusion_tf.report.verdict import Answer, Verdict, reach_verdict

__all__ = [
    "Answer",
    "Cell",
    "ChapterRecord",
    "Comparison",
    "FirstLayer",
    "Panel",
    "Results",
    "Run",
    "Side",
    "StudyRecord",
    "Unfinished",
    "Verdict",
    "collect",
    "reach_verdict",
    "read_study",
    "score_text",
    "write_comparison",
    "write_paper_page",
    "write_report",
]
