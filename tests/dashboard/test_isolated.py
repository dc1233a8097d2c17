"""Names in Arabic or Hebrew turn nothing but themselves (UAX #9, WCAG 1.3.2).

Whatever a template writes within our text is isolated, or is ours: a new place that is neither
fails here. `OURS` is what needs no isolation: our words, numbers, times, ids of rows.
"""

import pytest
from jinja2 import Environment, nodes

from app.core.text import isolated
from app.dashboard.explaining import explain
from app.dashboard.pages import TEMPLATES, bdi, listed
from app.dashboard.timeline import drawing
from tests.dashboard.expressions import LAB, Written, written, written_in
from tests.dashboard.test_pieces import push, story

HEBREW = "\u05d3\u05e0\u05d4 (iPhone)"
ISOLATES = {"bdi", "listed", "isolated"}
NUMBERS = {"thousands", "duration", "ago", "until", "when", "iso", "length", "round", "format"}
BUTTONS = {"ask", "press", "removing"}
"""They are given where to, and texts that they write as they come."""
MACROS = {
    "csrf", "time", "secret", "pause", "wrong", "hidden", "audit", "badge", "left", "says", "line",
    "troubles", "password", "kept", "axis", "limits", "when_busy", "tag",
}  # fmt: skip
"""They are given rows: what they write of them is looked at where they stand. `tag` isolates."""
OURS = """
    loop.last label title button sentence done one.page part text says rates
    standing.workers workers role visitor.role span total live drawing.left_out trace_id
    line.source line.action line.detail one.source kind[1] most at arrow.at arrow.gap arrow.says
    call.type call.name call.name[:20] call.callee_count one.role one.devices one.days_left
    one.not_after[:10] one.fingerprint[:16] one.fingerprint one.serial one.team_id one.key_id
    one.environments one.hint one.kid one.kind one.id one.state one.milliseconds one.status
    one.words one.token one.ending one.failures one.scopes one.days one.start one.end level
    understood.form understood.team_id understood.key_id understood.fingerprint
    understood.environments note fault problem.detail refusal.detail
    push.ending push.purpose push.environment token.hint token.kind token.environment
    counts.missed counts.unseen factors.codes tenant.path path d.type d.event_id d.status
    d.attempts a.status bar.label line.label mark.name about[0] about[1] about[2] what example
    wants.do_not_disturb_until one.sentence one.title one
""".split()  # noqa: SIM905
"""Sentences are here as a whole: what they quote they isolate where they are made."""
NAMES_OF_OURS = {
    ("overview.html", "name"), ("page.html", "name"), ("settings.html", "name"), ("tenant_delete.html", "name"),
    ("settings_keys.html", "name"), ("settings_notifications.html", "name"), ("settings_payload.html", "name"),
    ("settings_notifications.html", "event"), ("credential_bits.html", "name"), ("stale.html", "name"), ("user.html", "name"), ("settings_calls.html", "name"),
}  # fmt: skip
"""Loops over words of ours, and names of fields."""


def is_safe(one: nodes.Node, template: str) -> bool:
    """Whether nobody else's direction can leave it."""
    match one:
        case nodes.Const():
            return True
        case nodes.Filter(name=name) if name in ISOLATES | NUMBERS:
            return True
        case nodes.Filter(name="join" | "safe" | "attr", node=node):
            return node is not None and is_safe(node, template)
        case nodes.CondExpr():
            return is_safe(one.expr1, template) and (
                one.expr2 is None or is_safe(one.expr2, template)
            )
        case nodes.Or() | nodes.And() | nodes.Sub() | nodes.Add():
            return is_safe(one.left, template) and is_safe(one.right, template)
        case nodes.Concat():
            return all(is_safe(each, template) for each in one.nodes)
        case nodes.Getitem(node=nodes.Dict() as words):
            return all(is_safe(each.value, template) for each in words.items)
        case nodes.Call(node=nodes.Name(name=name)) if name in BUTTONS:
            texts = [each for each in one.args[1:] if not isinstance(each, nodes.Dict)]
            return all(is_safe(each, template) for each in texts)
        case nodes.Call(node=nodes.Name(name=name)) if name in MACROS:
            return True
    said = source_of(one)
    if said.startswith(("words.", "qr.")):
        return True
    return said in OURS or (template, said) in NAMES_OF_OURS


def source_of(one: nodes.Node) -> str:
    """An expression of names, as it is written."""
    match one:
        case nodes.Name():
            return one.name
        case nodes.Getattr():
            return f"{source_of(one.node)}.{one.attr}"
        case nodes.Getitem(arg=nodes.Const(value=value)):
            return f"{source_of(one.node)}[{value!r}]"
        case nodes.Getitem(arg=nodes.Slice(stop=nodes.Const(value=value))):
            return f"{source_of(one.node)}[:{value}]"
        case nodes.Getitem():
            return f"{source_of(one.node)}[]"
        case nodes.Call():
            return source_of(one.node)
    return type(one).__name__


def unsafe(found: list[Written]) -> list[str]:
    """Where somebody else's direction could leave."""
    wrong = []
    for one in found:
        if one.place == "other":
            continue
        safe = is_safe(one.expression, one.template)
        characters = isinstance(one.expression, nodes.Filter) and one.expression.name in {
            "bdi",
            "listed",
        }
        if not safe or (one.place == "plain" and characters):
            wrong.append(f"{one.template}:{one.line}: {one.place}: {{{{ {one.source} }}}}")
    return wrong


def test_every_place_of_every_page_isolates_what_others_have_named() -> None:
    found = list(written())
    assert len(found) > 300
    assert sum(one.place == "plain" for one in found) > 20
    assert unsafe(found) == []


@pytest.mark.parametrize(
    ("source", "place"),
    [
        ("<td>{{ one.name }}</td>", "text"),
        ("<p>{{ one.name or one.user_id | bdi }}</p>", "text"),  # of the id alone
        ("<p>{{ one.names | join(', ') }}</p>", "text"),
        ("<section aria-label='x' aria-label=\"{{ one.name }}\">", "plain"),
        ('<section aria-label="{{ one.name | bdi }}">', "plain"),
        ("{% block title %}{{ user | bdi }}{% endblock %}", "plain"),
        ("<select><option>{{ one.name }}", "plain"),
        ('<svg><text x="1">{{ lane.name }}</text></svg>', "plain"),
        ('{{ ask(base ~ "/x", "Revoke " ~ one.name) }}', "text"),
        ('{{ press(path, one.name, {"id": one.id}) }}', "text"),
    ],
)
def test_a_place_that_forgets_it_is_found(source: str, place: str) -> None:
    found = list(written_in(TEMPLATES, "made.html", source))
    assert [one.place for one in found] == [place]
    assert len(unsafe(found)) == 1


@pytest.mark.parametrize(
    "source",
    [
        "<td>{{ one.name | bdi }}</td>",
        "<p>{{ one.names | listed }} {{ 3 | thousands }}</p>",
        '<section aria-label="{{ one.name | isolated }}" id="{{ one.name }}">',
        "<textarea>{{ texts }}</textarea><code>{{ one.name }}</code>",
        '<datalist><option value="{{ one }}"></datalist>{{ one.name | bdi }}',
    ],
)
def test_what_isolates_is_taken_as_it_is(source: str) -> None:
    assert unsafe(list(written_in(TEMPLATES, "made.html", source))) == []


def test_the_labs_pages_write_nothing_that_others_have_named() -> None:
    """What its scripts draw is looked at in the browser."""
    for file in sorted(LAB.glob("*.html")):
        for one in written_in(Environment(autoescape=True), file.name, file.read_text()):
            assert one.place == "other" or one.source.split(" |")[0] in {"name", "model_note"}


def test_the_filters_escape_and_isolate() -> None:
    assert bdi("<b>") == "<bdi>&lt;b&gt;</bdi>"
    assert bdi(None) == bdi("") == ""
    assert listed(["a", HEBREW]) == f"<bdi>a</bdi>, <bdi>{HEBREW}</bdi>"
    assert listed(["four", "five", "six"], 8) == "<bdi>four</bdi>, <bdi>five</bdi>, …"
    assert isolated("a") == "\u2068a\u2069"
    for odd in ("a\u2069", "\u2067a", "\u2069a\u2068"):
        assert isolated(odd) == "\u2068a\u2069"
    assert isolated("\u2067a\u2069") == "\u2068\u2067a\u2069\u2069"


def test_sentences_isolate_the_names_of_devices():
    one = push(device_name=HEBREW, state="refused", reason="Unregistered", status=410)
    told = story([one])
    (said,) = [line for line in explain(told, []) if HEBREW in line]
    assert isolated(HEBREW) in said
    long = push(device_name=HEBREW * 9)
    steps = drawing(story([long]))["arrows"]
    for step in steps:
        assert step["says"].count("\u2068") == step["says"].count("\u2069")
