"""The generated texts are true."""

from __future__ import annotations

import json
import re

from proxy.config.declaration import options
from proxy.config.render import example, json_schema, options_page
from tests.config.configurations import SECRET, load_text, problems_of

ENVIRON = {
    "OIDC_ISSUER_URL": "https://idp.example.org/",
    "OIDC_CLIENT_ID": "app",
    "OIDC_CLIENT_SECRET": "tiger # in: the tank",
    "COOKIE_SECRET": SECRET,
}


def test_the_example_loads_when_its_variables_are_set() -> None:
    settings = load_text(example(), ENVIRON)
    assert settings.provider.client_secret.reveal() == "tiger # in: the tank"
    assert settings.upstream == ("http://127.0.0.1:8501",)


def test_the_example_names_every_variable_that_it_needs() -> None:
    found = problems_of(example())
    assert len(found) == len(ENVIRON)
    assert all("is not set" in problem for problem in found)


def test_the_example_shows_the_defaults() -> None:
    """With every option uncommented it still loads, and means the same."""
    whole = re.sub(r"(?m)^( *)#(?=[a-z_]+:| {2,})", r"\1", example())
    # A condition without a value is refused: whoever uncomments one has to say who.
    head, access, tail = re.split(r"(?m)^(access:\n(?:[ #\n].*\n|\n)+)", whole, maxsplit=1)
    conditions = "email_domains|emails|groups|any|all|not|roles|providers|acr_values|amr"
    empty = rf"(?m)^ +(?:{conditions}|methods|networks|emails_file):\n"
    whole = head + re.sub(empty, "", access) + tail
    settings = load_text(whole, ENVIRON)
    plain = load_text(example(), ENVIRON)
    access = settings.access.model_copy(update={"claims": ()})
    cleared = {"routes": (), "roles": (), "limits": (), "access": access}
    cleared["bearer"] = settings.bearer.model_copy(update={"issuers": ()})
    same = settings.model_copy(update=cleared)
    assert same == plain
    assert settings.routes[0].path == "/api/*"
    assert settings.access.claims[0].any_of == ("member",)
    assert settings.roles[0].groups == ("admins",)


def test_the_example_and_the_page_mention_every_option() -> None:
    text, page = example(), options_page()
    for option in options():
        assert re.search(rf"(?m)^ *#? *{option.path[-1]}:", text), option.key
        assert f"| `{option.key}` | `{option.variable}`" in page
        assert f"`{option.flag}`" in page


def test_table_rows_have_as_many_cells_as_their_head() -> None:
    for table in re.findall(r"(?:^\|.*\n)+", options_page(), re.MULTILINE):
        rows = [len(re.findall(r"(?<!\\)\|", row)) for row in table.splitlines()]
        assert len(set(rows)) == 1


def test_the_schema_knows_every_section_and_allows_secret_files() -> None:
    schema = json.loads(json_schema())
    assert "required" not in schema
    assert "client_secret_file" in schema["$defs"]["Provider"]["properties"]
    assert "https_proxy_file" in schema["$defs"]["Provider"]["properties"]
    assert schema["$defs"]["Route"]["required"] == ["path"]
    assert schema["additionalProperties"] is False


def test_every_kind_of_entry_has_one_table_that_the_others_lead_to() -> None:
    page = options_page()
    anchors = [heading.lower().replace(" ", "-") for heading in re.findall("(?m)^## (.*)$", page)]
    assert len(set(anchors)) == len(anchors)
    assert set(re.findall(r"\]\(#([\w-]+)\)", page)) <= set(anchors)
    assert {"each-rule", "each-claim-rule", "each-route", "each-role"} <= set(anchors)
    rules = page.partition("## Each rule\n")[2].partition("\n## ")[0]
    for key in ("emails", "groups.any", "any", "not"):
        assert rules.count(f"| `{key}` |") == 1
    assert "list, see [each rule](#each-rule)" in rules


def test_what_the_page_shows_as_a_section_is_not_shown_again() -> None:
    page = options_page()
    assert "list, each as in [provider](#provider)" in page
    assert page.count("the client id that the provider gave") == 1
    routes = page.partition("## Each route\n")[2].partition("\n## ")[0]
    assert "| `rule` | see [each rule](#each-rule) |" in routes
    assert "rule.emails" not in routes


def test_the_example_shows_no_rule_in_a_rule_and_no_provider_twice() -> None:
    text = example()
    assert text.count("client_id:") == 2  # the provider's, and an issuer's
    assert {"  #any:", "  #all:", "  #not:", "#providers:"} <= set(text.splitlines())


def test_the_schema_has_rules_in_rules_and_one_without_a_list() -> None:
    schema = json.loads(json_schema())
    rule = schema["$defs"]["Rule"]["properties"]
    assert rule["any"]["items"] == {"$ref": "#/$defs/Rule"}
    several = {"type": "array", "items": {"$ref": "#/$defs/Rule"}}
    assert rule["not"]["anyOf"] == [{"$ref": "#/$defs/Rule"}, several]
    assert "not_" not in rule
    assert "in" in schema["$defs"]["ClaimRule"]["properties"]
    assert schema["properties"]["providers"]["items"] == {"$ref": "#/$defs/Provider"}
