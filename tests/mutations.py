"""Texts that nobody meant: trees with parts replaced, removed or added, and nasty YAML."""

import yaml
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st


def examples(number, seconds=20):
    return settings(
        max_examples=number,
        deadline=seconds * 1000,  # no hang
        suppress_health_check=list(HealthCheck),
        database=None,
        derandomize=True,
    )


SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.sampled_from([10**400, -(2**63), 2**64, 0, -1, 1]),
    st.floats(),
    st.text(max_size=20),
    st.sampled_from(
        ["..", "../..", "/etc", "/dev/null", "a\0b", "\n", "x" * 5000, "~", "{{1}}", "<script>",
         "VT-01/../x", "٣", "\ufeff", "nan", "FR-Hes", "matsiro", "Qle", "raw", "day_block"]
    ),
)  # fmt: skip
TREES = st.recursive(
    SCALARS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4), st.dictionaries(st.text(max_size=8), inner, max_size=4)
    ),
    max_leaves=12,
)
RAW = [
    "!!python/object/apply:os.system ['true']",
    "a: &a [1, 1]\nb: &b [*a, *a]\nc: [*b, *b]",
    "a: &a\n  <<: *a",
    "[" * 5000,
    "{a: " * 3000,
    "? [1]\n: 2",
    "? {a: 1}\n: 2",
    "1: 2",
    "null: 2",
    "title: 9999-99-99",
    "title: 2001-02-30 25:61:61",
    "title: " + "9" * 5000,
    "title: 0x" + "f" * 9000,
    "title: \"\\ud800\"",
    "--- 1\n--- 2",
    "%TAG ! tag:x,2000:\n---\n!foo 1",
    "!!binary '****'",
    "!!timestamp x",
    "!!int x",
    "!!float x",
    "!!bool x",
    "!!omap x",
    "!!pairs [x]",
    "!!set {a, b}",
    "title: .nan",
    "- " * 3000,
    "\t",
    "title: 'unfinished",
    "sites: {<<: {codes: [x]}}",
    "sites: {<<: 3}",
]  # fmt: skip


def places(tree, above=()):
    """Every place in a tree of dicts."""
    yield above
    if isinstance(tree, dict):
        for key, inner in tree.items():
            yield from places(inner, (*above, key))


@st.composite
def mutated(draw, text):
    """A YAML text with some of its values replaced, removed or joined by others; or a raw one."""
    if draw(st.integers(0, 5)) == 0:
        return draw(st.one_of(st.sampled_from(RAW), st.text(max_size=200)))
    tree = yaml.safe_load(text)
    every = list(places(tree))
    for _ in range(draw(st.integers(1, 3))):
        place = draw(st.sampled_from(every))
        if not place:
            continue
        at = tree
        for key in place[:-1]:
            at = at.get(key) if isinstance(at, dict) else None
        if not isinstance(at, dict):
            continue
        what = draw(st.sampled_from(["replace", "remove", "add"]))
        if what == "remove":
            at.pop(place[-1], None)
        else:
            name = place[-1] if what == "replace" else draw(st.text(max_size=10))
            at[name] = draw(TREES)
    return yaml.safe_dump(tree, allow_unicode=draw(st.booleans()))
