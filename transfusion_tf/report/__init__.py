"""Run directories to tables, figures and one page.

What draws is imported when it is first asked for: it brings Matplotlib and TensorFlow,
and where nothing has changed nothing is drawn.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from transfusion_tf.report.comparison_page import (
        Comparison,
        Side,
        score_text,
        write_comparison,
    )
    from transfusion_tf.report.first_layer import FirstLayer
    from transfusion_tf.report.html import write_report
    from transfusion_tf.report.results import ModelResults, Results, StartRuns, collect
    from transfusion_tf.report.verdict import Answer, Verdict, reach_verdict

__all__ = [
    "Answer",
    "Comparison",
    "FirstLayer",
    "ModelResults",
    "Results",
    "Side",
    "StartRuns",
    "Verdict",
    "collect",
    "reach_verdict",
    "score_text",
    "write_comparison",
    "write_report",
]

_MODULES = {
    "Comparison": "comparison_page",
    "Side": "comparison_page",
    "score_text": "comparison_page",
    "write_comparison": "comparison_page",
    "FirstLayer": "first_layer",
    "write_report": "html",
    "StartRuns": "results",
    "ModelResults": "results",
    "Results": "results",
    "collect": "results",
    "Answer": "verdict",
    "Verdict": "verdict",
    "reach_verdict": "verdict",
}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module = importlib.import_module(f"{__name__}.{_MODULES[name]}")
    return getattr(module, name)
