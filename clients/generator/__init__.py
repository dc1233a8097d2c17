"""Types and operations of both clients, made from the OpenAPI document, and the vectors of pushes:
`make reference`.

What is generated is only what the document knows: the shapes of objects, and one method for each
operation. How requests are repeated, what errors mean, streams, signatures and tokens are written
by hand beside it (docs/decisions/0019-clients.md).
"""

from pathlib import Path

from clients.generator import pushes, python, typescript
from clients.generator.document import openapi

CLIENTS = Path(__file__).resolve().parents[1]
PYTHON = CLIENTS / "python" / "src" / "ringline_client"
TYPESCRIPT = CLIENTS / "typescript" / "src"


def files() -> dict[Path, str]:
    """Text by path."""
    document = openapi()
    return {
        PYTHON / "models.py": python.formatted(python.python_models(document)),
        PYTHON / "operations.py": python.formatted(python.python_operations(document)),
        TYPESCRIPT / "models.ts": typescript.typescript_models(document),
        TYPESCRIPT / "operations.ts": typescript.typescript_operations(document),
        CLIENTS / "vectors" / "pushes.json": pushes.vectors(),
    }
