"""The bar of an upload, where somebody can see it."""

import subprocess
import sys

KERNEL_WITHOUT_WIDGETS = """
import sys, types

class ZMQInteractiveShell:
    config = {"IPKernelApp": {}}

sys.modules["IPython"] = types.SimpleNamespace(get_ipython=ZMQInteractiveShell)
sys.modules["ipykernel.zmqshell"] = types.ModuleType("zmqshell")
sys.modules["ipywidgets"] = None
from deriva_ml.execution.progress import shown
with shown(None) as callback:
    print(callback)
"""


def test_a_notebook_without_widgets_has_a_bar_of_text_and_no_warning() -> None:
    done = subprocess.run([sys.executable, "-c", KERNEL_WITHOUT_WIDGETS], capture_output=True, text=True)
    assert ("function shown" in done.stdout, "Warning" in done.stderr) == (True, False), done.stderr
