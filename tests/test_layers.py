"""No module needs itself. Which layer may import which, import-linter checks (pyproject.toml)."""

from graphlib import TopologicalSorter

import grimp


def test_no_imports_lead_in_a_circle() -> None:
    graph = grimp.build_graph("portal")
    needs = {name: graph.find_modules_directly_imported_by(name) for name in graph.modules}

    TopologicalSorter(needs).prepare()  # raises CycleError, which names the circle
