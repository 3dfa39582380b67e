"""The configuration reference holds every key of the schema, with its words and default."""

from mdpl.config import Config
from mdpl.config_reference import reference


def test_every_key_of_the_schema_is_there_with_its_meaning():
    schema = Config.model_json_schema()
    rows = [line.split(" | ") for line in reference().splitlines() if line.startswith("| `")]
    known = {row[0].strip("| `").rsplit(".", 1)[-1]: row for row in rows}
    sections = [schema, *schema["$defs"].values()]
    count = 0
    for section in sections:
        for key, about in section.get("properties", {}).items():
            count += 1
            assert key in known, key
            if "description" in about:
                words = about["description"].replace("|", "\\|")
                assert any(words in " | ".join(row) for row in rows), key
    assert count > 70
    assert len(rows) == count


def test_defaults_are_those_of_the_schema():
    text = reference()
    assert "| `ensemble.members` | whole number | `128` |" in text
    assert "| `sites.flux` | `raw` or `corrected` or `bowen_ratio` or `residual` | `raw` |" in text
    assert "| `model.mixtures.<name>.share` | number | must be given |" in text
    assert "## `surrogate`, kind `day-block`" in text
