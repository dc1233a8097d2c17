"""The recipes in Go and Java, run against the clients' vectors: `python -m tests.readme.languages`.

What a machine has no compiler for is said, and left out.
"""

import base64
import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from tests.fences import blocks_in

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "guides" / "recipes.md").read_text()
CASES: list[dict[str, Any]] = json.loads(
    (ROOT / "clients" / "vectors" / "webhooks.json").read_text()
)["cases"]
NONE = "-"
"""In a line for a program: a header that is missing."""

GO = """package main

import (
	"bufio"
	"encoding/base64"
	"fmt"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"
)

func main() {
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		part := strings.Split(lines.Text(), "\\t")
		headers := http.Header{}
		for n, name := range []string{"webhook-id", "webhook-timestamp", "webhook-signature"} {
			if part[n+1] != "-" {
				headers.Set(name, part[n+1])
			}
		}
		body, _ := base64.StdEncoding.DecodeString(part[4])
		now, _ := strconv.ParseInt(part[5], 10, 64)
		fmt.Println(Verify(part[0], headers, body, time.Unix(now, 0)) == nil)
	}
}
"""
JAVA = """
final class Main {
    public static void main(String[] given) throws Exception {
        var lines = new java.io.BufferedReader(new java.io.InputStreamReader(System.in, "UTF-8"));
        for (String line; (line = lines.readLine()) != null; ) {
            String[] part = line.split("\\t", -1);
            for (int n = 1; n < 4; n++) if (part[n].equals("-")) part[n] = null;
            System.out.println(Webhooks.good(part[0], part[1], part[2], part[3],
                Base64.getDecoder().decode(part[4]), Instant.ofEpochSecond(Long.parseLong(part[5]))));
        }
    }
}
"""


def recipe(language: str) -> str:
    """The one block in that language."""
    (found,) = blocks_in(PAGE, language)
    return found


def asked() -> tuple[str, list[bool]]:
    """A line for each secret of each case, and whether it is the server's by the vectors."""
    lines, good = [], []
    for case in CASES:
        if isinstance(case["secret"], list):  # both secrets of a rotation are for a client to try
            continue
        told = {name.lower(): value for name, value in case["headers"].items()}
        names = ("webhook-id", "webhook-timestamp", "webhook-signature")
        body = base64.b64encode(case["body"].encode()).decode()
        parts = [case["secret"], *(told.get(name, NONE) for name in names), body, str(case["now"])]
        lines.append("\t".join(parts))
        good.append(case["good"])
    return "\n".join(lines) + "\n", good


def said(command: list[str], folder: Path, lines: str) -> list[bool]:
    done = subprocess.run(
        command, cwd=folder, input=lines, stdout=subprocess.PIPE, text=True, check=True
    )
    return [line == "true" for line in done.stdout.split()]


def main() -> int:
    """Run each; 0 when each judges as the vectors do."""
    lines, good = asked()
    status = 0
    with tempfile.TemporaryDirectory(prefix="languages-") as made:
        folder = Path(made)
        (folder / "go.mod").write_text("module hooks\n\ngo 1.21\n")
        (folder / "hooks.go").write_text(recipe("go"))
        (folder / "main.go").write_text(GO)
        (folder / "Hooks.java").write_text(
            recipe("java").replace("final class Webhooks", JAVA + "\nfinal class Webhooks", 1)
        )
        for name, command in (("go", ["go", "run", "."]), ("java", ["java", "Hooks.java"])):
            if shutil.which(command[0]) is None:
                print(f"not run: there is no {name} here")
            elif (found := said(command, folder, lines)) == good:
                print(f"right: {name}, {len(good)} webhooks")
            else:
                print(f"WRONG: {name} says {found}, not {good}")
                status = 1
    return status


if __name__ == "__main__":
    sys.exit(main())
